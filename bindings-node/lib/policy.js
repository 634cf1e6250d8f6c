'use strict'

// Policies as JavaScript writes them: text, files, or objects turned into JSON for the engine.

const { PolicyError } = require('./errors.js')
const { wrongType } = require('./options.js')

const WANTED = "a rate string such as '100/minute', a document or an object"

// Says that a policy is in a file, to the constructor alone.
class PolicyFile {
  constructor(path) {
    this.path = path
  }
}

// A policy's text, and what it is.
function sourceOf(policy) {
  if (typeof policy === 'string') return [policy, 'text']
  if (policy instanceof PolicyFile) return [policy.path, 'file']
  if (policy === null || typeof policy !== 'object' || Array.isArray(policy)) {
    throw wrongType('policy', WANTED, policy)
  }
  const json = JSON.stringify(policy, refuser())
  // A `toJSON` of the object's own may give nothing.
  if (json === undefined) throw wrongType('policy', WANTED, undefined)
  return [json, 'object']
}

// A replacer that replaces nothing: it refuses, by field, what JSON would leave out, change or
// not explain.
function refuser() {
  // The objects that hold the one being read, outermost first, and the field of each.
  const holders = []
  const fields = []
  return function check(name, value) {
    while (holders.length > 0 && holders.at(-1) !== this) {
      holders.pop()
      fields.pop()
    }
    const field = fieldOf(fields.at(-1), name, Array.isArray(this))
    const shown = field === '' ? 'policy' : `policy: ${field}`
    if (['bigint', 'function', 'symbol'].includes(typeof value)) {
      throw wrongType(shown, 'a string, a number, a boolean, an array or an object', value)
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw refused(field, `${value} is not an amount`, 'give a finite number')
    }
    if (typeof value === 'object' && value !== null) {
      if (holders.includes(value)) {
        throw refused(field, 'the object holds itself', 'give a policy of a few levels')
      }
      holders.push(value)
      fields.push(field)
    }
    return value
  }
}

// Such as `limit[0].quota`; that of the policy itself is empty.
function fieldOf(holder, name, isItem) {
  if (isItem) return `${holder}[${name}]`
  return holder ? `${holder}.${name}` : name
}

function refused(field, problem, remedy) {
  return new PolicyError(`policy: ${field}: ${problem}; ${remedy}`, { field, remedy })
}

module.exports = { PolicyFile, sourceOf }
