'use strict'

// What an adapter of a web framework asks for each request: its decision and the header fields of the response in one call into
// the engine, and one more when the response is over.

const { native } = require('./native.js')
const { askAgain } = require('./waiting.js')
const { written } = require('./decision.js')

// As the engine numbers them.
const STYLES = { none: 0, legacy: 1, draft: 2, both: 3 }
const BY_ADDRESS = 1 << 2

// The attributes of a request of which nothing but the address matters.
class Address {
  constructor(ip) {
    this.ip = ip
  }
}

// The engine tells a field's name by a letter. These are the same texts each time, for a text that is new costs more.
const NAMES = native.headerNames()
const LOWER_NAMES = NAMES.map((name) => name.toLowerCase())
const FIRST = 'a'.charCodeAt(0)

// Comes first where something is to be done at the end.
const OWES = '!'.charCodeAt(0)

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
    let owes = false
    try {
      const fields = this.#ask(number, style, cost, subject)
      owes = fields.charCodeAt(0) === OWES
      return new Passage(this, owes ? number : -1, written(), fields)
    } finally {
      if (!owes) this.#free.push(number)
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
    if (subject instanceof Address && typeof subject.ip === 'string') {
      return enter.call(limiter, number, style | BY_ADDRESS, cost, subject.ip)
    }
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

  // Is there something to be done when the response is over?
  get owes() {
    return this.#number >= 0
  }

  // Calls `set` with each header field of the response; `lower`: names in small letters.
  eachHeader(set, lower = false) {
    const fields = this.#fields
    const names = lower ? LOWER_NAMES : NAMES
    for (let from = fields.charCodeAt(0) === OWES ? 1 : 0, end; from < fields.length; from = end + 1) {
      end = fields.indexOf('\n', from)
      set(names[fields.charCodeAt(from) - FIRST], fields.slice(from + 1, end))
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

module.exports = { Passages, Address, STYLES }
