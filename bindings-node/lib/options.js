'use strict'

const { native } = require('./native.js')

// "a string", "null", "an object": what a value is, for messages.
function kindOf(value) {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (ArrayBuffer.isView(value)) return 'bytes'
  const kind = typeof value
  return (kind === 'object' ? 'an ' : 'a ') + kind
}

function wrongType(name, wanted, value) {
  const error = new TypeError(`${name}: must be ${wanted}, not ${kindOf(value)}`)
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

// A copy of an options object, each option read once, of which every field is known. `known`
// gives each field's type: what `typeof` says, or 'any' for one that is checked elsewhere.
function checked(options, known) {
  if (options === undefined) return {}
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw wrongType('options', 'an object', options)
  }
  // Inherited ones are read below, so their names are checked here, too.
  for (const name in options) {
    if (!Object.hasOwn(known, name)) throw unknown(name, Object.keys(known))
  }
  const copy = {}
  for (const [name, wanted] of Object.entries(known)) {
    const value = options[name]
    if (value !== undefined && wanted !== 'any' && typeof value !== wanted) {
      throw wrongType(name, `a ${wanted}`, value)
    }
    copy[name] = value
  }
  return copy
}

function unknown(name, known) {
  const nearest = native.nearest(name, known)
  const meant = nearest ? `; did you mean ${nearest}?` : ''
  const error = new TypeError(`${name}: no such option${meant} (known: ${known.join(', ')})`)
  error.code = 'ERR_INVALID_ARG_VALUE'
  return error
}

// The keys of a batch, in an array of our own that nobody changes while it is read. One key is
// iterable, too, but as characters or numbers it is a slip.
function keysOf(keys) {
  const isOne = typeof keys === 'string' || ArrayBuffer.isView(keys)
  if (isOne || typeof keys?.[Symbol.iterator] !== 'function') {
    throw wrongType('keys', 'an array or another iterable of keys', keys)
  }
  return [...keys]
}

// The `…At` calls have no default time: a forgotten one must not become "now".
function explicit(nowNs) {
  if (typeof nowNs !== 'bigint') {
    throw wrongType('nowNs', 'a bigint of nanoseconds since the Unix epoch', nowNs)
  }
  return nowNs
}

module.exports = { checked, explicit, keysOf, wrongType }
