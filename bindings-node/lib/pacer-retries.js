'use strict'

// A client that tries again by itself goes behind the pacer's back: its attempts are multiplied, and its waits are not
// the pacer's. It is warned of once for each kind of client.

const { isObject } = require('./pacer-answer.js')

const warned = new Set()

function warn(client, remedy) {
  if (warned.has(client)) return
  warned.add(client)
  process.emitWarning(
    `tidegate: ${client} tries again by itself, below a pacer that does so, too: each attempt is multiplied; ${remedy}`,
    { type: 'TidegateWarning', code: 'TIDEGATE_RETRIES_TWICE' },
  )
}

// undici's dispatcher for all of `fetch`, its own and Node's.
const globalDispatcher = () => globalThis[Symbol.for('undici.globalDispatcher.1')]

const isRetryAgent = (dispatcher) => {
  for (let proto = dispatcher; isObject(proto); proto = Object.getPrototypeOf(proto)) {
    if (proto.constructor?.name === 'RetryAgent') return true
  }
  return false
}

// `work`: a function that is wrapped. `call`: a call of one, in the form of `fetch`.
function warnOfRetries(work, call) {
  const retry = work?.defaults?.options?.retry
  if (isObject(retry) && retry.limit > 0) {
    warn('got', 'give it { retry: { limit: 0 } }')
  }
  if (call === undefined) return
  if (isRetryAgent(call.init?.dispatcher) || isRetryAgent(globalDispatcher())) {
    warnOfUndici()
  }
  if (retriesSoFar(call.init?.headers) > 0) {
    warn('a client of OpenAI, Anthropic or their like', 'give it maxRetries: 0')
  }
}

// How often such a client has tried already, as it tells the server.
function retriesSoFar(headers) {
  const name = 'x-stainless-retry-count'
  const value = typeof headers?.get === 'function' ? headers.get(name) : headers?.[name]
  return Number(value ?? 0)
}

// `config`: of a request, where axios-retry keeps what it needs.
function warnOfAxios(config) {
  const retry = config['axios-retry']
  if (isObject(retry) && retry.retries !== 0) {
    warn('axios-retry', 'leave it out, or give it { retries: 0 }')
  }
}

function warnOfUndici() {
  warn("undici's RetryAgent", 'take an Agent or a Pool')
}

module.exports = { warnOfRetries, warnOfAxios, warnOfUndici, isRetryAgent }
