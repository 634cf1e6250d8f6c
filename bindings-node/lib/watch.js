'use strict'

const { ofPolicy, readingPolicy, throwLater } = require('./errors.js')
const { askAgain } = require('./waiting.js')

// A limiter that follows its policy file.
class Watch {
  #native

  constructor(limiter, path, listener) {
    this.#native = readingPolicy(() => limiter.watch(path, (error) => this.#told(error, listener)))
    askAgain()
  }

  close() {
    this.#native?.close()
    this.#native = undefined
  }

  #told(error, listener) {
    // What was on its way when the watch was closed is told nobody.
    if (this.#native === undefined) return
    askAgain()
    try {
      listener(error ? { type: 'refused', error: ofPolicy(error) } : { type: 'updated' })
    } catch (thrown) {
      throwLater(thrown)
    }
  }
}

module.exports = { Watch }
