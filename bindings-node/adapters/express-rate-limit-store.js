'use strict'

// A `Store` for express-rate-limit: it counts, and express-rate-limit decides.

const { Limiter } = require('../lib/limiter.js')
const { checked } = require('../lib/options.js')

// More than anybody sends in a window, and little enough for the engine's smallest records.
const MOST = 1_000_000_000

class TidegateStore {
  #limiter
  #options
  localKeys = true

  // `maxKeys`, `clock`: those of a `Limiter`.
  constructor(options) {
    const { prefix = '', ...limiter } = checked(options, { prefix: 'string', clock: 'any', maxKeys: 'number' })
    this.prefix = prefix
    this.#options = limiter
  }

  init({ windowMs }) {
    const limit = { quota: MOST, period: `${windowMs}ms`, algorithm: 'fixed_window', align: 'first_request' }
    this.#limiter = new Limiter({ limit: [limit] }, this.#options)
  }

  increment(key) {
    return hitsOf(this.#limiter.acquire(this.prefix + key))
  }

  get(key) {
    const hits = hitsOf(this.#limiter.peek(this.prefix + key, 0))
    return hits.totalHits === 0 ? undefined : hits
  }

  decrement(key) {
    this.#limiter.refund(this.prefix + key)
  }

  resetKey(key) {
    this.#limiter.reset(this.prefix + key)
  }
}

function hitsOf({ limit, remaining, madeAtMs, resetAfterMs }) {
  return { totalHits: limit - remaining, resetTime: new Date(Math.ceil(madeAtMs + resetAfterMs)) }
}

module.exports = { TidegateStore }
