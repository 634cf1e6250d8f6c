'use strict'

const { askAgain } = require('./waiting.js')
const { explicit } = require('./options.js')

// An estimate that was taken, to be settled or cancelled.
class Reservation {
  #native

  constructor(native, decision) {
    this.#native = native
    this.decision = decision
  }

  settle(actual) {
    this.#settled(this.#native.settle(actual))
  }

  settleAt(actual, nowNs) {
    this.#settled(this.#native.settle(actual, explicit(nowNs)))
  }

  cancel() {
    this.#native.cancel()
    askAgain()
  }

  cancelAt(nowNs) {
    this.#native.cancel(explicit(nowNs))
    askAgain()
  }

  #settled(done) {
    if (!done) throw new Error('reservation: it is already settled or cancelled')
    askAgain()
  }
}

module.exports = { Reservation }
