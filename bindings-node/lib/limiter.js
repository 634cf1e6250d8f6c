'use strict'

const { fileURLToPath } = require('node:url')

const { native } = require('./native.js')
const { numbers, written, roomFor, writtenMany, plain } = require('./decision.js')
const { exact } = require('./exact.js')
const { countsOf, plainSnapshot, plainUsage, exactUsage, alertOf } = require('./reports.js')
const { RateLimitedError, readingPolicy, throwLater } = require('./errors.js')
const { nativeOf } = require('./clock.js')
const { Reservation } = require('./reservation.js')
const { Admission } = require('./admission.js')
const { checked, explicit, keysOf, wrongType } = require('./options.js')
const { PolicyFile, sourceOf } = require('./policy.js')
const { wait, askAgain } = require('./waiting.js')
const { Watch } = require('./watch.js')
const { ENTER, LEAVE, BY_ADDRESS, MOST_ATTRIBUTES, Passage, Address } = require('./passage.js')

const OPTIONS = { clock: 'any', maxKeys: 'number', onFull: 'string', store: 'string', name: 'string' }

// A clock of this package, or the name of one.
function clockOf(clock) {
  if (clock === undefined || typeof clock === 'string') return [undefined, clock]
  const manual = nativeOf(clock)
  if (manual === undefined) throw wrongType('clock', "a ManualClock, 'counter', 'system' or 'coarse'", clock)
  return [manual, undefined]
}

function fileOf(path) {
  const file = path instanceof URL ? fileURLToPath(path) : path
  if (typeof file !== 'string') throw wrongType('path', 'a string or a file: URL', path)
  return file
}

function planNamed(plan) {
  if (typeof plan !== 'string') throw wrongType('plan', 'a string', plan)
  return plan
}

class Limiter {
  #native
  #tryAcquire
  #acquire
  #acquireMany
  #recordLatency
  #enter
  #enterPairs
  #leave
  #listener = null

  constructor(policy, options) {
    const { clock, maxKeys, onFull, store, name } = checked(options, OPTIONS)
    const [manual, clockNamed] = clockOf(clock)
    const [source, form] = sourceOf(policy)
    const more = { clockNamed, onFull, store, name }
    this.#native = readingPolicy(
      () => new native.NativeLimiter(source, form, more, maxKeys, manual),
    )
    const hot = this.#native.hot(numbers, Limiter.#tellIn)
    this.#tryAcquire = hot.tryAcquire
    this.#acquire = hot.acquire
    this.#acquireMany = hot.acquireMany
    this.#recordLatency = hot.recordLatency
    this.#enter = hot.enter
    this.#enterPairs = hot.enterPairs
    this.#leave = hot.leave
  }

  static fromFile(path, options) {
    return new this(new PolicyFile(fileOf(path)), options)
  }

  get name() {
    return this.#native.name
  }

  // A cost that is left out stays out: reading a number from JavaScript takes its time.
  tryAcquire(key, cost) {
    return cost === undefined ? this.#tryAcquire(key) : this.#tryAcquire(key, cost)
  }

  acquire(key, cost) {
    if (cost === undefined) this.#acquire(key)
    else this.#acquire(key, cost)
    return written()
  }

  acquireMany(keys, cost = 1) {
    const list = keysOf(keys)
    const room = roomFor(list.length)
    this.#acquireMany(list, cost, room)
    return writtenMany(room, list.length)
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

  renew(key) {
    return this.#native.renew(key)
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
    this.#done()
  }

  reserve(key, cost) {
    const reservation = this.#native.reserve(key, cost)
    this.#tell()
    return new Reservation(reservation, plain(reservation.decision), this.#done.bind(this))
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

  assign(value, plan, options) {
    const { durationMs } = checked(options, { durationMs: 'number' })
    this.#native.assign(value, planNamed(plan), durationMs)
    askAgain()
  }

  unassign(value) {
    this.#native.unassign(value)
    askAgain()
  }

  planOf(request) {
    return this.#native.planOf(request) ?? null
  }

  usage(request, options) {
    const { windowMs } = checked(options, { windowMs: 'number' })
    return plainUsage(this.#native.usage(request, windowMs))
  }

  onAlert(listener) {
    if (listener !== null && typeof listener !== 'function') {
      throw wrongType('listener', 'a function or null', listener)
    }
    this.#listener = listener
    this.#native.listen(listener !== null)
  }

  watch(path, listener) {
    if (typeof listener !== 'function') throw wrongType('listener', 'a function', listener)
    return new Watch(this.#native, fileOf(path), listener)
  }

  async wait(key, options) {
    const known = { cost: 'any', timeoutMs: 'number', signal: 'any' }
    const { cost = 1, timeoutMs, signal } = checked(options, known)
    return wait(this.#native, key, cost, timeoutMs, signal, this.#tell.bind(this))
  }

  // `style`: one of STYLES.
  [ENTER](subject, cost, style) {
    const lines = this.#askToEnter(subject, cost, style)
    return new Passage(this, written(), lines)
  }

  [LEAVE](number) {
    this.#leave(number)
    askAgain()
  }

  // V8 calls a function of the engine at once where it is called as a method, like this; not by way of `call`.
  #askToEnter(subject, cost, style) {
    // A cost that is left out takes no time to read.
    if (typeof subject === 'string') return cost === 1 ? this.#enter(style, subject) : this.#enter(style, subject, cost)
    if (subject instanceof Address && typeof subject.ip === 'string') {
      return cost === 1 ? this.#enter(style | BY_ADDRESS, subject.ip) : this.#enter(style | BY_ADDRESS, subject.ip, cost)
    }
    if (ArrayBuffer.isView(subject)) return this.#enter(style, subject, cost)
    const names = Object.keys(subject)
    const [first, second] = names
    switch (names.length) {
      case 1:
        return this.#enterPairs(style, cost, first, subject[first])
      case 2:
        return this.#enterPairs(style, cost, first, subject[first], second, subject[second])
    }
    if (names.length === 0 || names.length > MOST_ATTRIBUTES) return this.#enter(style, subject, cost)
    return this.#enterPairs(style, cost, ...names.flatMap((name) => [name, subject[name]]))
  }

  // As `measure`, for work whose end is an event.
  admit(key, cost = 1) {
    const admission = this.#native.admit(key, cost)
    this.#tell()
    return new Admission(admission, plain(admission.decision), this.#done.bind(this))
  }

  async measure(key, work, options) {
    const { cost = 1 } = checked(options, { cost: 'any' })
    if (typeof work !== 'function') throw wrongType('work', 'a function', work)
    const admission = this.#native.admit(key, cost)
    this.#tell()
    const decision = plain(admission.decision)
    if (!decision.allowed) throw new RateLimitedError(decision)
    try {
      return await work(decision, { renew: () => admission.renew() })
    } finally {
      admission.finish()
      this.#done()
    }
  }

  // The twins with an explicit time: nanoseconds and exact bigints throughout.

  tryAcquireAt(key, cost, nowNs) {
    const allowed = this.#native.tryAcquireAt(key, cost, explicit(nowNs))
    this.#tell()
    return allowed
  }

  acquireAt(key, cost, nowNs) {
    const decision = this.#native.acquireAt(key, cost, explicit(nowNs))
    this.#tell()
    return exact(decision)
  }

  acquireManyAt(keys, cost, nowNs) {
    const decisions = this.#native.acquireManyAt(keysOf(keys), cost, explicit(nowNs))
    this.#tell()
    return decisions.map(exact)
  }

  recordLatencyAt(key, latencyNs, nowNs) {
    this.#native.recordLatencyAt(key, latencyNs, explicit(nowNs))
    this.#tell()
  }

  peekAt(key, cost, nowNs) {
    return exact(this.#native.peek(key, cost, explicit(nowNs)))
  }

  refundAt(key, cost, nowNs) {
    this.#native.refund(key, cost, explicit(nowNs))
    askAgain()
  }

  releaseAt(key, nowNs) {
    this.#native.release(key, explicit(nowNs))
    askAgain()
  }

  renewAt(key, nowNs) {
    return this.#native.renew(key, explicit(nowNs))
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
    this.#done()
  }

  reserveAt(key, cost, nowNs) {
    const reservation = this.#native.reserve(key, cost, explicit(nowNs))
    this.#tell()
    return new Reservation(reservation, exact(reservation.decision), this.#done.bind(this))
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

  assignAt(value, plan, durationNs, nowNs) {
    this.#native.assignAt(value, planNamed(plan), durationNs ?? undefined, explicit(nowNs))
    askAgain()
  }

  planOfAt(request, nowNs) {
    return this.#native.planOf(request, explicit(nowNs)) ?? null
  }

  usageAt(request, windowNs, nowNs) {
    return exactUsage(this.#native.usageAt(request, windowNs ?? undefined, explicit(nowNs)))
  }

  // A call is over that may have let others in, and passed thresholds.
  #done() {
    askAgain()
    this.#tell()
  }

  // Tells the alerts of the call that is over. An error of the listener's is thrown where nobody waits for a decision.
  #tell() {
    if (this.#listener === null) return
    for (const alert of this.#native.takeAlerts()) {
      try {
        this.#listener?.(alertOf(alert))
      } catch (error) {
        throwLater(error)
      }
    }
  }

  // What lib/pacer.js needs; nothing of anything else.
  static partsOf(value) {
    const isLimiter = typeof value === 'object' && value !== null && #native in value
    return isLimiter ? { native: value.#native, tell: () => value.#tell() } : undefined
  }

  // The same as a method of no limiter's own, for src/hot.rs.
  static #tellIn = function () {
    this.#tell()
  }
}

// Out of users' sight.
const { partsOf } = Limiter
delete Limiter.partsOf

module.exports = { Limiter, ENTER, clockOf, partsOf }
