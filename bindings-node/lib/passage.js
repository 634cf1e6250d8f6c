'use strict'

// What an adapter of a web framework asks for each request: its decision and the header fields of the response in one call into
// the engine, and one more when the response is over.

const { askAgain } = require('./waiting.js')
const { written } = require('./decision.js')

// As the engine numbers them.
const STYLES = { none: 0, legacy: 1, draft: 2, both: 3 }

// More attributes than the engine takes as arguments are an object.
const MOST_ATTRIBUTES = 8

class Passages {
  #enter
  #leave
  // Numbers of requests under way are used again: the engine keeps a place for each.
  #free = []
  #used = 0

  constructor({ enter, leave }) {
    this.#enter = enter
    this.#leave = leave
  }

  // `style`: one of STYLES.
  enter(subject, cost, style) {
    const number = this.#free.pop() ?? this.#used++
    let kept = false
    try {
      const fields = this.#ask(number, style, cost, subject)
      const decision = written()
      kept = decision.allowed
      return new Passage(this, kept ? number : -1, decision, fields)
    } finally {
      if (!kept) this.#free.push(number)
    }
  }

  leave(number) {
    this.#leave(number)
    this.#free.push(number)
    askAgain()
  }

  #ask(number, style, cost, subject) {
    if (typeof subject === 'string' || ArrayBuffer.isView(subject)) return this.#enter(number, style, cost, subject)
    const names = Object.keys(subject)
    switch (names.length) {
      case 1:
        return this.#enter(number, style, cost, names[0], subject[names[0]])
      case 2:
        return this.#enter(number, style, cost, names[0], subject[names[0]], names[1], subject[names[1]])
      case 0:
        return this.#enter(number, style, cost, subject)
    }
    if (names.length > MOST_ATTRIBUTES) return this.#enter(number, style, cost, subject)
    return this.#enter(number, style, cost, ...names.flatMap((name) => [name, subject[name]]))
  }
}

// A request that was asked about.
class Passage {
  #passages
  #number
  #fields

  constructor(passages, number, decision, fields) {
    this.#passages = passages
    this.#number = number
    this.#fields = fields
    this.decision = decision
  }

  // Calls `set` with each header field of the response.
  eachHeader(set) {
    const lines = this.#fields.split('\n')
    for (let i = 0; i + 1 < lines.length; i += 2) set(lines[i], lines[i + 1])
  }

  // Records the time since, and gives permits back; once.
  end() {
    const number = this.#number
    if (number < 0) return
    this.#number = -1
    this.#passages.leave(number)
  }
}

module.exports = { Passages, STYLES }
