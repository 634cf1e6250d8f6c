'use strict'

// What an adapter of a web framework asks for each request: its decision and the header fields of the response in one call into
// the engine, and one more when the response is over.

const { native } = require('./native.js')
const { askAgain } = require('./waiting.js')
const { written } = require('./decision.js')

// As the engine numbers them.
const STYLES = { none: 0, legacy: 1, draft: 2, both: 3 }

// The engine tells a field's name by a letter. These are the same texts each time, for a text that is new costs more.
const NAMES = native.headerNames()
const FIRST = 'a'.charCodeAt(0)

// More attributes than the engine takes as arguments are an object.
const MOST_ATTRIBUTES = 8

class Passages {
  // The functions are its methods: alerts are told to it.
  #limiter
  #enter
  #leave
  // Numbers of requests under way are used again: the engine keeps a place for each.
  #free = []
  #used = 0

  constructor(limiter, { enter, leave }) {
    this.#limiter = limiter
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
    this.#leave.call(this.#limiter, number)
    this.#free.push(number)
    askAgain()
  }

  #ask(number, style, cost, subject) {
    const limiter = this.#limiter
    const enter = this.#enter
    if (typeof subject === 'string' || ArrayBuffer.isView(subject)) return enter.call(limiter, number, style, cost, subject)
    // As `attributesOf` of an adapter gives it: names and values by turns.
    if (Array.isArray(subject)) return enter.call(limiter, number, style, cost, subject[0], subject[1])
    const names = Object.keys(subject)
    switch (names.length) {
      case 1:
        return enter.call(limiter, number, style, cost, names[0], subject[names[0]])
      case 2:
        return enter.call(limiter, number, style, cost, names[0], subject[names[0]], names[1], subject[names[1]])
      case 0:
        return enter.call(limiter, number, style, cost, subject)
    }
    if (names.length > MOST_ATTRIBUTES) return enter.call(limiter, number, style, cost, subject)
    return enter.call(limiter, number, style, cost, ...names.flatMap((name) => [name, subject[name]]))
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
    const fields = this.#fields
    for (let from = 0, end; from < fields.length; from = end + 1) {
      end = fields.indexOf('\n', from)
      set(NAMES[fields.charCodeAt(from) - FIRST], fields.slice(from + 1, end))
    }
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
