'use strict'

// A connection of Node's HTTP server that ends in this process: requests are parsed, handled and answered as ever, and no
// kernel, client or second process takes a part of the time.

const { Duplex } = require('node:stream')

class Wire extends Duplex {
  #answered = null
  #answer = ''

  // `remoteAddress`: whose connection it seems to be.
  constructor(server, remoteAddress) {
    super()
    this.remoteAddress = remoteAddress
    server.emit('connection', this)
  }

  // The answer to a request (both as they are on the wire), which ends as `end` says.
  ask(request, end) {
    return new Promise((resolve) => {
      this.#answer = ''
      this.#answered = (text) => {
        this.#answer += text
        if (!this.#answer.endsWith(end)) return
        this.#answered = null
        resolve(this.#answer)
      }
      this.push(request)
    })
  }

  _read() {}

  _write(chunk, encoding, done) {
    this.#answered?.(chunk.latin1Slice())
    done()
  }

  // What servers ask of sockets.
  setTimeout() {
    return this
  }

  setNoDelay() {
    return this
  }

  setKeepAlive() {
    return this
  }
}

module.exports = { Wire }
