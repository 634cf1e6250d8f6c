'use strict'

const { fileURLToPath } = require('node:url')

const { native } = require('./native.js')
const { numbers, written, roomFor, writtenMany, plain, plainSnapshot, countsOf } = require('./decision.js')
const { RateLimitedError, readingPolicy } = require('./errors.js')
const { nativeOf } = require('./clock.js')
const { Reservation } = require('./reservation.js')
const { checked, explicit, keysOf, wrongType } = require('./options.js')
const { PolicyFile, sourceOf } = require('./policy.js')
const { wait, askAgain } = require('./waiting.js')

const OPTIONS = { clock: 'any', maxKeys: 'number', onFull: 'string', store: 'string', name: 'string' }

// A clock of this package, or the name of one.
function clockOf(clock) {
  if (clock === undefined || typeof clock === 'string') return [undefined, clock]
  const manual = nativeOf(clock)
  if (manual === undefined) throw wrongType('clock', "a ManualClock, 'counter', 'system' or 'coarse'", clock)
  return [manual, undefined]
}

class Limiter {
  #native
  #tryAcquire
  #acquire
  #acquireMany
  #recordLatency
  // Names of limits, in the order in which `acquire` and `acquireMany` first told them.
  #names = []

  constructor(policy, options) {
    const { clock, maxKeys, onFull, store, name } = checked(options, OPTIONS)
    const [manual, clockNamed] = clockOf(clock)
    const [source, form] = sourceOf(policy)
    const more = { clockNamed, onFull, store, name }
    this.#native = readingPolicy(
      () => new native.NativeLimiter(source, form, more, maxKeys, manual),
    )
    const hot = this.#native.hot(numbers)
    this.#tryAcquire = hot.tryAcquire
    this.#acquire = hot.acquire
    this.#acquireMany = hot.acquireMany
    this.#recordLatency = hot.recordLatency
  }

  static fromFile(path, options) {
    const file = path instanceof URL ? fileURLToPath(path) : path
    if (typeof file !== 'string') throw wrongType('path', 'a string or a file: URL', path)
    return new this(new PolicyFile(file), options)
  }

  get name() {
    return this.#native.name
  }

  // A cost that is left out stays out: reading a number from JavaScript takes its time.
  tryAcquire(key, cost) {
    return cost === undefined ? this.#tryAcquire(key) : this.#tryAcquire(key, cost)
  }

  acquire(key, cost) {
    const fresh = cost === undefined ? this.#acquire(key) : this.#acquire(key, cost)
    if (fresh !== undefined) this.#names.push(fresh)
    return written(this.#names)
  }

  acquireMany(keys, cost = 1) {
    const list = keysOf(keys)
    const room = roomFor(list.length)
    const fresh = this.#acquireMany(list, cost, room)
    if (fresh !== undefined) this.#names.push(...fresh)
    return writtenMany(room, list.length, this.#names)
  }

  recordLatency(key, latencyMs) {
    this.#recordLatency(key, latencyMs)
  }

  peek(key, cost = 1) {
    return plain(this.#native.peek(key, cost))
  }

  refund(key, cost = 1) {
    this.#native.refund(key, cost)
    askAgain()
  }

  release(key) {
    this.#native.release(key)
    askAgain()
  }

  reset(key) {
    this.#native.reset(key)
    askAgain()
  }

  block(key, durationMs) {
    this.#native.block(key, durationMs)
    askAgain()
  }

  penalize(key, units) {
    this.#native.penalize(key, units)
    askAgain()
  }

  reserve(key, cost) {
    const reservation = this.#native.reserve(key, cost)
    return new Reservation(reservation, plain(reservation.decision))
  }

  update(policy) {
    const [source, form] = sourceOf(policy)
    readingPolicy(() => this.#native.update(source, form))
    askAgain()
  }

  snapshot(key) {
    return plainSnapshot(this.#native.snapshot(key))
  }

  stats() {
    return countsOf(this.#native.stats(), 'nothing else')
  }

  async wait(key, options) {
    const known = { cost: 'any', timeoutMs: 'number', signal: 'any' }
    const { cost = 1, timeoutMs, signal } = checked(options, known)
    return wait(this.#native, key, cost, timeoutMs, signal)
  }

  async measure(key, work, options) {
    const { cost = 1 } = checked(options, { cost: 'any' })
    if (typeof work !== 'function') throw wrongType('work', 'a function', work)
    const admission = this.#native.admit(key, cost)
    const decision = plain(admission.decision)
    if (!decision.allowed) throw new RateLimitedError(decision)
    try {
      return await work(decision)
    } finally {
      admission.finish()
      askAgain()
    }
  }

  // The twins with an explicit time: nanoseconds and exact bigints throughout.

  tryAcquireAt(key, cost, nowNs) {
    return this.#native.tryAcquireAt(key, cost, explicit(nowNs))
  }

  acquireAt(key, cost, nowNs) {
    return this.#native.acquireAt(key, cost, explicit(nowNs))
  }

  acquireManyAt(keys, cost, nowNs) {
    return this.#native.acquireManyAt(keysOf(keys), cost, explicit(nowNs))
  }

  recordLatencyAt(key, latencyNs, nowNs) {
    this.#native.recordLatencyAt(key, latencyNs, explicit(nowNs))
  }

  peekAt(key, cost, nowNs) {
    return this.#native.peek(key, cost, explicit(nowNs))
  }

  refundAt(key, cost, nowNs) {
    this.#native.refund(key, cost, explicit(nowNs))
    askAgain()
  }

  releaseAt(key, nowNs) {
    this.#native.release(key, explicit(nowNs))
    askAgain()
  }

  resetAt(key, nowNs) {
    this.#native.reset(key, explicit(nowNs))
    askAgain()
  }

  blockAt(key, durationNs, nowNs) {
    this.#native.blockAt(key, durationNs, explicit(nowNs))
    askAgain()
  }

  penalizeAt(key, units, nowNs) {
    this.#native.penalize(key, units, explicit(nowNs))
    askAgain()
  }

  reserveAt(key, cost, nowNs) {
    const reservation = this.#native.reserve(key, cost, explicit(nowNs))
    return new Reservation(reservation, reservation.decision)
  }

  updateAt(policy, nowNs) {
    const now = explicit(nowNs)
    const [source, form] = sourceOf(policy)
    readingPolicy(() => this.#native.update(source, form, now))
    askAgain()
  }

  snapshotAt(key, nowNs) {
    return this.#native.snapshot(key, explicit(nowNs))
  }
}

module.exports = { Limiter }
