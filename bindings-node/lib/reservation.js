'use strict'

const { explicit } = require('./options.js')

// An estimate that was taken, to be settled or cancelled.
class Reservation {
  #native
  // What its limiter does when a call is over.
  #done

  constructor(native, decision, done) {
    this.#native = native
    this.#done = done
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
    this.#done()
  }

  cancelAt(nowNs) {
    this.#native.cancel(explicit(nowNs))
    this.#done()
  }

  #settled(done) {
    if (!done) throw new Error('reservation: it is already settled or cancelled')
    this.#done()
  }
}

module.exports = { Reservation }
