'use strict'

// Answers: plain ones with numbers, made of what the engine wrote or of its exact ones.
//
// A decision's fields are its numbers, and what everybody asks. What it can say besides (its plan, headers, …) is asked of the
// engine when somebody wants it: with the decision's exact numbers and the number of its origin (see src/origins.rs).

const { native } = require('./native.js')
const { wrongType } = require('./options.js')

// `acquire` of every limiter of this environment writes here (see src/hot.rs).
const numbers = native.numbers()

// So many are a decision's; `enter` writes more behind them (lib/passage.js).
const NUMBERS = 10

// `acquireMany` writes here for batches of up to this many keys, and for larger ones to an array
// of their own.
const KEPT = 1024
let kept

const REASONS = ['ok', 'limited', 'blocked', 'bypass', 'impossible']
const ALLOWED = 1
const REASON_SHIFT = 1
const BIG_LIMIT = 1 << 4
const BIG_REMAINING = 1 << 5
const HAS_BURST = 1 << 6

// Names of limits by origin, and what else its decisions say; each is asked for once.
const names = []
const origins = []

function nameOf(origin) {
  names[origin] ??= originOf(origin).name
  return names[origin]
}

function originOf(origin) {
  origins[origin] ??= native.originOf(origin)
  return origins[origin]
}

class Decision {
  #origin
  #madeAtMs
  #lows
  // What few decisions have: a burst, and numbers beyond 2^53 − 1.
  #more

  constructor(flags, limit, remaining, retryAfterMs, resetAfterMs, name, origin, madeAtMs, lows, more) {
    this.allowed = (flags & ALLOWED) !== 0
    this.limit = limit
    this.remaining = remaining
    this.retryAfterMs = retryAfterMs
    this.resetAfterMs = resetAfterMs
    this.name = name
    this.reason = REASONS[(flags >> REASON_SHIFT) & 7]
    this.#origin = origin
    this.#madeAtMs = madeAtMs
    this.#lows = lows
    this.#more = more
    if (flags & (BIG_LIMIT | BIG_REMAINING)) {
      if (flags & BIG_LIMIT) refuse(this, 'limit', 'acquireAt or peekAt')
      if (flags & BIG_REMAINING) refuse(this, 'remaining', 'acquireAt or peekAt')
    }
  }

  get plan() {
    return originOf(this.#origin).plan
  }

  get method() {
    return originOf(this.#origin).method
  }

  get windowMs() {
    const { windowNs } = originOf(this.#origin)
    return windowNs === null ? null : Number(windowNs) / 1e6
  }

  get shadow() {
    return originOf(this.#origin).shadow
  }

  get madeAtMs() {
    return this.#madeAtMs
  }

  get burstRemaining() {
    const burst = this.#more?.burst ?? null
    if (burst !== null && isBig(burst)) throw tooBig('burstRemaining', 'acquireAt or peekAt')
    return burst === null ? null : Number(burst)
  }

  get message() {
    return native.adviceOf(this.#kept()).message
  }

  get closes() {
    return native.adviceOf(this.#kept()).closes
  }

  get status() {
    return native.adviceOf(this.#kept()).status
  }

  headers(style) {
    return headersOf(this.#kept(), style)
  }

  body(style) {
    return bodyOf(this.#kept(), style).text
  }

  contentType(style) {
    return bodyOf(this.#kept(), style).contentType
  }

  // As the engine takes it back.
  #kept() {
    const { limit, remaining, burst } = this.#more ?? this
    return {
      origin: this.#origin,
      reason: REASONS.indexOf(this.reason),
      limit: BigInt(limit),
      remaining: BigInt(remaining),
      retryAfterNs: this.retryAfterMs === Infinity ? undefined : exactly(this.retryAfterMs * 1e6, this.#lows, 0),
      resetAfterNs: exactly(this.resetAfterMs * 1e6, this.#lows, 1),
      madeAtNs: exactly(this.#madeAtMs * 1e6, this.#lows, 2),
      burstRemaining: burst ?? undefined,
    }
  }
}

// The number that `near` was made of: the nearest one whose lowest 16 bits are the `place`th of `lows`. Numbers of up to
// 2^63, once divided and multiplied by 1e6, are less than 2^13 wrong.
function exactly(near, lows, place) {
  const about = BigInt(Math.round(near))
  return about + BigInt.asIntN(16, (BigInt(lows) >> BigInt(16 * place)) - about)
}

// The other way round (see `low_bits` in src/hot.rs).
function lowsOf(first, second, third) {
  const low = (number, place) => BigInt.asUintN(16, number) << BigInt(16 * place)
  return Number(low(first, 0) | low(second, 1) | low(third, 2))
}

function tooBig(field, exactCall) {
  const error = new RangeError(
    `${field}: beyond 2^53 - 1, where numbers are no longer exact; ` +
      `${exactCall} gives it as a bigint`,
  )
  error.code = 'ERR_OUT_OF_RANGE'
  return error
}

// A field that no number can hold: reading it says so, instead of giving a rounded one.
function refuse(object, field, exactCall) {
  Object.defineProperty(object, field, {
    enumerable: true,
    configurable: true,
    get() {
      throw tooBig(field, exactCall)
    },
  })
}

// The decision that was written to `room` at `at`.
function writtenAt(room, at) {
  const flags = room[at]
  const origin = room[at + 5]
  return new Decision(
    flags,
    room[at + 1],
    room[at + 2],
    room[at + 3],
    room[at + 4],
    names[origin] ?? nameOf(origin),
    origin,
    room[at + 6],
    room[at + 7],
    flags >= BIG_LIMIT ? moreOf(room, at) : undefined,
  )
}

function moreOf(room, at) {
  const lows = room[at + 9]
  return {
    limit: exactly(room[at + 1], lows, 0),
    remaining: exactly(room[at + 2], lows, 1),
    burst: room[at] & HAS_BURST ? exactly(room[at + 8], lows, 2) : null,
  }
}

// The decision that was just written.
function written() {
  return writtenAt(numbers, 0)
}

// An array for the numbers of so many decisions.
function roomFor(count) {
  if (count > KEPT) return new Float64Array(NUMBERS * count)
  kept ??= new Float64Array(NUMBERS * KEPT)
  return kept
}

// The decisions that were just written to `room`.
function writtenMany(room, count) {
  const decisions = new Array(count)
  for (let i = 0, at = 0; i < count; i++, at += NUMBERS) decisions[i] = writtenAt(room, at)
  return decisions
}

function isBig(value) {
  return value > Number.MAX_SAFE_INTEGER
}

function milliseconds(ns) {
  return ns === null ? Infinity : Number(ns) / 1e6
}

// The plain form of a decision of the native layer.
function plain({ allowed, limit, remaining, retryAfterNs, resetAfterNs, name, reason, ...hidden }) {
  const { origin, madeAtNs, burstRemaining } = hidden
  let flags = allowed ? ALLOWED : 0
  flags |= REASONS.indexOf(reason) << REASON_SHIFT
  if (isBig(limit)) flags |= BIG_LIMIT
  if (isBig(remaining)) flags |= BIG_REMAINING
  if (burstRemaining !== null) flags |= HAS_BURST
  return new Decision(
    flags,
    Number(limit),
    Number(remaining),
    milliseconds(retryAfterNs),
    milliseconds(resetAfterNs),
    name,
    origin,
    milliseconds(madeAtNs),
    lowsOf(retryAfterNs ?? 0n, resetAfterNs, madeAtNs),
    flags >= BIG_LIMIT ? { limit, remaining, burst: burstRemaining } : undefined,
  )
}

function headersOf(decision, style = 'legacy') {
  if (typeof style !== 'string') throw wrongType('style', 'a string', style)
  return Object.fromEntries(native.headersOf(decision, style))
}

function bodyOf(decision, style = 'error') {
  if (typeof style !== 'string') throw wrongType('style', 'a string', style)
  return native.bodyOf(decision, style)
}

module.exports = { REASONS, NUMBERS, numbers, written, roomFor, writtenMany, plain, originOf, headersOf, bodyOf, refuse, isBig, milliseconds }
