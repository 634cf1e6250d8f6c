'use strict'

// Answers: plain ones with numbers, made of what the engine wrote or of its exact ones.

const { native } = require('./native.js')

// `acquire` of every limiter of this environment writes here (see src/hot.rs).
const numbers = native.numbers()

const NUMBERS = numbers.length

// `acquireMany` writes here for batches of up to this many keys, and for larger ones to an array
// of their own.
const KEPT = 1024
let kept

const REASONS = ['ok', 'limited', 'blocked', 'bypass', 'impossible']
const ALLOWED = 1
const REASON_SHIFT = 1
const BIG_LIMIT = 1 << 4
const BIG_REMAINING = 1 << 5

class Decision {
  constructor(flags, limit, remaining, retryAfterMs, resetAfterMs, name) {
    this.allowed = (flags & ALLOWED) !== 0
    this.limit = limit
    this.remaining = remaining
    this.retryAfterMs = retryAfterMs
    this.resetAfterMs = resetAfterMs
    this.name = name
    this.reason = REASONS[(flags >> REASON_SHIFT) & 7]
    if (flags >= BIG_LIMIT) {
      if (flags & BIG_LIMIT) refuse(this, 'limit', 'acquireAt or peekAt')
      if (flags & BIG_REMAINING) refuse(this, 'remaining', 'acquireAt or peekAt')
    }
  }
}

// A field that no number can hold: reading it says so, instead of giving a rounded one.
function refuse(object, field, exactCall) {
  Object.defineProperty(object, field, {
    enumerable: true,
    configurable: true,
    get() {
      const error = new RangeError(
        `${field}: beyond 2^53 - 1, where numbers are no longer exact; ` +
          `${exactCall} gives it as a bigint`,
      )
      error.code = 'ERR_OUT_OF_RANGE'
      throw error
    },
  })
}

// The decision that was just written.
function written(names) {
  return new Decision(
    numbers[0],
    numbers[1],
    numbers[2],
    numbers[3],
    numbers[4],
    names[numbers[5]],
  )
}

// An array for the numbers of so many decisions.
function roomFor(count) {
  if (count > KEPT) return new Float64Array(NUMBERS * count)
  kept ??= new Float64Array(NUMBERS * KEPT)
  return kept
}

// The decisions that were just written to `room`.
function writtenMany(room, count, names) {
  const decisions = new Array(count)
  for (let i = 0, at = 0; i < count; i++, at += NUMBERS) {
    decisions[i] = new Decision(
      room[at],
      room[at + 1],
      room[at + 2],
      room[at + 3],
      room[at + 4],
      names[room[at + 5]],
    )
  }
  return decisions
}

function isBig(value) {
  return value > Number.MAX_SAFE_INTEGER
}

function milliseconds(ns) {
  return ns === null ? Infinity : Number(ns) / 1e6
}

// The plain form of an exact decision.
function plain(exact) {
  let flags = exact.allowed ? ALLOWED : 0
  flags |= REASONS.indexOf(exact.reason) << REASON_SHIFT
  if (isBig(exact.limit)) flags |= BIG_LIMIT
  if (isBig(exact.remaining)) flags |= BIG_REMAINING
  return new Decision(
    flags,
    Number(exact.limit),
    Number(exact.remaining),
    milliseconds(exact.retryAfterNs),
    milliseconds(exact.resetAfterNs),
    exact.name,
  )
}

// The bigints of `exact` as numbers; those that no number can hold refuse to be read.
function countsOf(exact, exactCall) {
  const counts = {}
  for (const [field, value] of Object.entries(exact)) {
    if (typeof value === 'bigint' && isBig(value)) refuse(counts, field, exactCall)
    else counts[field] = typeof value === 'bigint' ? Number(value) : value
  }
  return counts
}

function plainSnapshot({ blockedForNs, buckets }) {
  return {
    blockedForMs: milliseconds(blockedForNs),
    buckets: buckets.map(({ refreshAfterNs, ...bucket }) => {
      const counts = countsOf(bucket, 'snapshotAt')
      counts.refreshAfterMs = milliseconds(refreshAfterNs)
      return counts
    }),
  }
}

module.exports = { numbers, written, roomFor, writtenMany, plain, plainSnapshot, countsOf }
