'use strict'

// What an adapter of a web framework asks for each request: its decision and the header fields of the response in one call into
// the engine, and one more when the response is over.

const { native } = require('./native.js')
const { NUMBERS, numbers } = require('./decision.js')

// The methods of a limiter by which adapters ask, for this package alone.
const ENTER = Symbol('enter')
const LEAVE = Symbol('leave')

// As the engine numbers them.
const STYLES = { none: 0, legacy: 1, draft: 2, both: 3 }
const BY_ADDRESS = 1 << 2

// Where it writes, behind the numbers of a decision: flags, the numbers of the first header fields, that of the passage.
const FLAGS = NUMBERS
const LIMIT = NUMBERS + 1
const REMAINING = NUMBERS + 2
const RESET = NUMBERS + 3
const NUMBER = NUMBERS + 4
const KNOWN = 3
const OWES = 1 << 2

// The attributes of a request of which nothing but the address matters.
class Address {
  constructor(ip) {
    this.ip = ip
  }
}

// The engine tells a field's name by a letter, but for the first three. These are the same texts each time, for a text that is
// new costs more.
const NAMES = native.headerNames()
const LOWER_NAMES = NAMES.map((name) => name.toLowerCase())
const FIRST = 'a'.charCodeAt(0)

// More attributes than the engine takes as arguments are an object.
const MOST_ATTRIBUTES = 8

// A request that was asked about.
class Passage {
  #limiter
  #number
  // The first three header fields; undefined where they are not told.
  #limit
  #remaining
  #reset
  // A line for each other field: the letter of its name, and the value. Undefined: there is none.
  #lines

  // What the engine has just written goes with it.
  constructor(limiter, decision, lines) {
    const flags = numbers[FLAGS]
    this.#limiter = limiter
    this.#number = flags & OWES ? numbers[NUMBER] : -1
    this.#lines = lines
    const known = flags & KNOWN
    if (known > 0) this.#limit = '' + numbers[LIMIT]
    if (known > 1) this.#remaining = '' + numbers[REMAINING]
    if (known > 2) this.#reset = '' + numbers[RESET]
    this.decision = decision
  }

  // Is there something to be done when the response is over?
  get owes() {
    return this.#number >= 0
  }

  // Calls `set` with each header field of the response; `lower`: names in small letters.
  eachHeader(set, lower = false) {
    const names = lower ? LOWER_NAMES : NAMES
    if (this.#limit !== undefined) set(names[0], this.#limit)
    if (this.#remaining !== undefined) set(names[1], this.#remaining)
    if (this.#reset !== undefined) set(names[2], this.#reset)
    if (this.#lines !== undefined) this.#eachLine(set, names)
  }

  // Puts each into an object, its name in small letters. By names that stand here V8 does so at once.
  addTo(fields) {
    if (this.#limit !== undefined) fields['x-ratelimit-limit'] = this.#limit
    if (this.#remaining !== undefined) fields['x-ratelimit-remaining'] = this.#remaining
    if (this.#reset !== undefined) fields['x-ratelimit-reset'] = this.#reset
    if (this.#lines !== undefined) this.#eachLine((name, value) => (fields[name] = value), LOWER_NAMES)
  }

  #eachLine(set, names) {
    const lines = this.#lines
    for (let from = 0, end; from < lines.length; from = end + 1) {
      end = lines.indexOf('\n', from)
      set(names[lines.charCodeAt(from) - FIRST], lines.slice(from + 1, end))
    }
  }

  // Records the time since, and gives permits back; once.
  end() {
    const number = this.#number
    if (number < 0) return
    this.#number = -1
    this.#limiter[LEAVE](number)
  }
}

module.exports = { ENTER, LEAVE, BY_ADDRESS, MOST_ATTRIBUTES, Passage, Address, STYLES }
