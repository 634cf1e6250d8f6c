'use strict'

// A storage for @nestjs/throttler: its guard asks, and answers.

const { Limiter } = require('../lib/limiter.js')
const { checked } = require('../lib/options.js')

// Different pairs of ttl and limit. Each has a limiter of its own, and is in the program, not in requests.
const MOST_PAIRS = 1000

class TidegateThrottlerStorage {
  #limiters = new Map()
  #options

  // `maxKeys`, `clock`: those of a `Limiter`.
  constructor(options) {
    this.#options = checked(options, { clock: 'any', maxKeys: 'number' })
  }

  // Times come in milliseconds and go in whole seconds, as the guard wants them.
  async increment(key, ttl, limit, blockDuration, throttlerName) {
    const limiter = this.#limiter(ttl, limit)
    const subject = `${throttlerName}:${key}`
    const decision = limiter.acquire(subject)
    if (decision.allowed) return recordOf(decision, decision.limit - decision.remaining)
    if (decision.reason === 'blocked' || blockDuration <= 0) return recordOf(decision, limit + 1)
    // When the block is over, counting begins anew.
    limiter.reset(subject)
    limiter.block(subject, blockDuration)
    return recordOf(limiter.peek(subject), limit + 1)
  }

  #limiter(ttl, limit) {
    const name = `${limit} per ${ttl}`
    const known = this.#limiters.get(name)
    if (known !== undefined) return known
    if (this.#limiters.size >= MOST_PAIRS) {
      throw new RangeError(`more than ${MOST_PAIRS} different pairs of ttl and limit; they come from the program, not from requests`)
    }
    const policy = { quota: limit, period: `${ttl}ms`, algorithm: 'fixed_window', align: 'first_request' }
    const limiter = new Limiter({ limit: [policy] }, this.#options)
    this.#limiters.set(name, limiter)
    return limiter
  }
}

function recordOf({ allowed, resetAfterMs, retryAfterMs }, totalHits) {
  return {
    totalHits,
    timeToExpire: Math.ceil(resetAfterMs / 1000),
    isBlocked: !allowed,
    timeToBlockExpire: Math.ceil(retryAfterMs / 1000),
  }
}

module.exports = { TidegateThrottlerStorage }
