'use strict'

const { getSystemErrorName } = require('node:util')

// A mistake in a policy.
class PolicyError extends Error {
  constructor(message, { line, column, field, remedy } = {}) {
    super(message)
    this.code = 'ERR_TIDEGATE_POLICY'
    this.line = line
    this.column = column
    this.field = field
    this.remedy = remedy
  }
}

// `measure` was denied; the work did not run.
class RateLimitedError extends Error {
  constructor(decision) {
    super(explain(decision))
    this.code = 'ERR_RATE_LIMITED'
    this.decision = decision
  }
}

for (const kind of [PolicyError, RateLimitedError]) {
  // On the prototype, so that it is no own property of each error.
  Object.defineProperty(kind.prototype, 'name', {
    value: kind.name,
    configurable: true,
    writable: true,
  })
}

function explain({ reason, name, retryAfterMs }) {
  if (reason === 'impossible') return `the cost is more than limit '${name}' can ever hold`
  const who = reason === 'blocked' ? 'the key is blocked' : `limited by '${name}'`
  return `${who}; retry after ${retryAfterMs} ms`
}

// Runs a call that reads a policy, and gives its errors their own class.
function readingPolicy(call) {
  try {
    return call()
  } catch (error) {
    throw ofPolicy(error)
  }
}

// An error of the native layer about a policy or its file, as users see it.
function ofPolicy(error) {
  if (error.code === 'ERR_TIDEGATE_POLICY') return new PolicyError(error.message, error)
  if (error.code === 'ERR_TIDEGATE_FILE' && error.errno !== undefined) {
    error.code = getSystemErrorName(error.errno)
  }
  return error
}

// Throws an error where nobody waits for an answer: it becomes an uncaught one.
function throwLater(error) {
  process.nextTick(() => {
    throw error
  })
}

module.exports = { PolicyError, RateLimitedError, readingPolicy, ofPolicy, throwLater }
