'use strict'

const { native } = require('./native.js')
const { askAgain } = require('./waiting.js')

// A clock that stands still until it is moved.
class ManualClock {
  #native

  constructor(ms) {
    this.#native = new native.NativeClock(ms)
  }

  now() {
    return Number(this.#native.nowNs()) / 1e6
  }

  nowNs() {
    return this.#native.nowNs()
  }

  advance(ms) {
    this.#native.advance(ms)
    askAgain()
  }

  advanceNs(ns) {
    this.#native.advanceNs(ns)
    askAgain()
  }

  set(ms) {
    this.#native.set(ms)
    askAgain()
  }

  setNs(ns) {
    this.#native.setNs(ns)
    askAgain()
  }

  static nativeOf(value) {
    return typeof value === 'object' && value !== null && #native in value
      ? value.#native
      : undefined
  }
}

// Kept for lib/limiter.js, out of users' sight.
const { nativeOf } = ManualClock
delete ManualClock.nativeOf

module.exports = { ManualClock, nativeOf }
