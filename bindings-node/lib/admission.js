'use strict'

// A request that is under way: what it was given, and what it gives back when it is over.
class Admission {
  #native
  // What its limiter does when a call is over.
  #done

  constructor(native, decision, done) {
    this.#native = native
    this.#done = done
    this.decision = decision
  }

  renew() {
    return this.#native.renew()
  }

  finish() {
    this.#native.finish()
    this.#done()
  }
}

module.exports = { Admission }
