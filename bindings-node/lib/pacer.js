'use strict'

// The client side: calls to somebody else's interface, paced, tried again, stopped. The engine decides all of it; here
// are the waiting, and the answers of JavaScript's libraries.

const { native: engine } = require('./native.js')
const { checked, wrongType } = require('./options.js')
const { clockOf, partsOf } = require('./limiter.js')
const { readingPolicy, throwLater } = require('./errors.js')
const { sourceOf } = require('./policy.js')
const { Calls } = require('./pacer-calls.js')
const answers = require('./pacer-answer.js')
const { wrapped } = require('./pacer-wrap.js')
const { mapWith } = require('./pacer-map.js')

const AMOUNTS = {
  concurrency: 'number',
  headroom: 'number',
  maxRetries: 'number',
  baseMs: 'number',
  capMs: 'number',
  maxRetryAfterMs: 'number',
  deadlineMs: 'number',
  seed: 'any',
  nearLimit: 'number',
  maxUnauthorized: 'number',
  maxForbidden: 'number',
  maxFailures: 'number',
  breakerCooldownMs: 'number',
}

const OPTIONS = {
  key: 'any',
  clock: 'any',
  ...AMOUNTS,
  classify: 'function',
  onNearLimit: 'function',
  onEvent: 'function',
}

const CALL_OPTIONS = {
  label: 'string',
  cost: 'any',
  maxRetries: 'number',
  deadlineMs: 'number',
  signal: 'any',
}

// Events that are kept until they are told: each call tells them, so these are those of one call.
const MOST_EVENTS = 1000

// The pacer of the native layer, and what tells the alerts of its limiter.
function build(limits, { key, clock, ...given }, listens) {
  const [manual, clockNamed] = clockOf(clock)
  const options = { ...given, clockNamed, events: listens ? MOST_EVENTS : 0 }
  const limiter = partsOf(limits)
  if (limiter === undefined) {
    if (key !== undefined) throw wrongOption('key', 'is of no use without a Limiter; leave it out')
    const [source, form] = limits === undefined || limits === null ? [] : sourceOf(limits)
    return [readingPolicy(() => new engine.NativePacer(options, manual, source, form))]
  }
  if (clock !== undefined) throw wrongOption('clock', 'the limiter has its own; leave it out')
  if (key === undefined) throw wrongOption('key', 'is missing; say who the limiter is to be asked about')
  return [engine.NativePacer.over(options, limiter.native, key), limiter.tell]
}

function wrongOption(name, problem) {
  const error = new TypeError(`${name}: ${problem}`)
  error.code = 'ERR_INVALID_ARG_VALUE'
  return error
}

const isA = (type, value) => value === undefined || typeof value === type

// Every call of some has them: what is right is seen at once, and only what is wrong is looked at closely.
function checkedCall(options) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return checked(options, CALL_OPTIONS)
  for (const name in options) {
    if (!Object.hasOwn(CALL_OPTIONS, name)) return checked(options, CALL_OPTIONS)
  }
  const { label, cost, maxRetries, deadlineMs, signal } = options
  const isRight = isA('string', label) && isA('number', maxRetries) && isA('number', deadlineMs)
  if (!isRight) return checked(options, CALL_OPTIONS)
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongType('signal', 'an AbortSignal', signal)
  }
  return { label, cost, maxRetries, deadlineMs, signal }
}

// As `await` does: a `then` of a promise's own is not asked.
const { then: promiseThen } = Promise.prototype

// For the client adapters.
let isPacer

class Pacer {
  #native
  #calls
  #classify
  #onNearLimit
  #onEvent
  #tellAlerts

  constructor(limits, options) {
    const { classify, onNearLimit, onEvent, ...given } = checked(options, OPTIONS)
    const listens = onNearLimit !== undefined || onEvent !== undefined
    const [native, tellAlerts] = build(limits, given, listens)
    this.#native = native
    this.#classify = classify
    this.#onNearLimit = onNearLimit
    this.#onEvent = onEvent
    this.#tellAlerts = tellAlerts
    const hasNews = listens || tellAlerts !== undefined
    const settled = (place, result, failed) => this.#settled(place, result, failed)
    this.#calls = new Calls(native, settled, hasNews ? () => this.#tell() : undefined)
  }

  get concurrency() {
    return this.#native.concurrency
  }

  // Most calls go at once and pass: for them nothing is made but the promise. No function that waits, which would be as
  // dear as the rest; whoever does wait goes on in `#attempts`.
  run(work, options) {
    try {
      if (typeof work !== 'function') throw wrongType('work', 'a function', work)
      const calls = this.#calls
      let place, number, signal
      if (options === undefined) {
        place = calls.take()
        number = calls.begin(place)
      } else {
        const call = checkedCall(options)
        signal = call.signal
        if (signal?.aborted) throw signal.reason
        place = calls.take()
        number = calls.beginWith(place, call)
      }
      if (number !== undefined) return this.#attempts(place, work, signal, 1, number)
      place.work = work
      place.signal = signal
      let result
      try {
        result = Promise.resolve(work({ attempt: 1, signal }))
      } catch (error) {
        result = Promise.reject(error)
      }
      return promiseThen.call(result, place.onResult, place.onError)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  // What the first attempt came to.
  #settled(place, result, failed) {
    const { work, signal } = place
    place.work = undefined
    place.signal = undefined
    const number = this.#finish(place, result, failed)
    if (number !== undefined) {
      answers.discard(result, failed)
      return this.#attempts(place, work, signal, 2, number)
    }
    if (failed) throw result
    return result
  }

  // The attempts from one on that must wait for its turn.
  async #attempts(place, work, signal, attempt, number) {
    for (; ; attempt++) {
      await this.#calls.turn(place, number, signal)
      let result
      let failed = false
      try {
        result = await work({ attempt, signal })
      } catch (error) {
        result = error
        failed = true
      }
      number = this.#finish(place, result, failed)
      if (number === undefined) {
        if (failed) throw result
        return result
      }
      answers.discard(result, failed)
    }
  }

  // What an answer means: `undefined`: it is handed on; else the number under which the call waits for its next attempt.
  #finish(place, result, failed) {
    const isPlain = (typeof result !== 'object' || result === null) && !failed
    if (isPlain && this.#classify === undefined) return this.#calls.finishPlain(place)
    const said = { response: undefined, status: 0, pairs: undefined }
    if (!isPlain) answers.readAnswer(result, failed, said)
    const { response, status, pairs } = said
    let kind
    if (this.#classify !== undefined) {
      try {
        kind = this.#ask(status, response, result, failed)
      } catch (error) {
        // Of the user's function: the call ends, and gives back what it holds.
        this.#calls.drop(place)
        throw error
      }
    }
    if (kind === undefined && failed && response === undefined) kind = 'error'
    if (pairs === undefined && kind === undefined) return this.#calls.finishPlain(place)
    return this.#calls.finish(place, status, pairs, kind, result)
  }

  #ask(status, response, result, failed) {
    const answer = { status, response, result: failed ? undefined : result, error: failed ? result : undefined }
    return checkedKind(this.#classify(answer))
  }

  wrap(work, options) {
    if (typeof work !== 'function') throw wrongType('work', 'a function', work)
    return wrapped(this, work, checkedCall(options))
  }

  map(items, work, options) {
    return mapWith(this, items, work, options)
  }

  observe(headers) {
    this.#native.observe(answers.headersIn(headers))
    this.#calls.news()
  }

  stats() {
    const { waits, ...counts } = this.#native.stats()
    return { ...counts, waits: Object.fromEntries(waits.map(({ name, calls }) => [name, calls])) }
  }

  reset() {
    this.#native.reset()
    this.#calls.news()
  }

  close() {
    this.#native.close()
    this.#calls.news()
  }

  static {
    isPacer = (value) => typeof value === 'object' && value !== null && #native in value
  }

  // Tells what happened. What a listener throws is thrown where nobody waits for a call.
  #tell() {
    this.#tellAlerts?.()
    if (this.#onEvent === undefined && this.#onNearLimit === undefined) return
    for (const event of this.#native.events()) {
      try {
        if (event.kind === 'near_limit') this.#onNearLimit?.(event)
        this.#onEvent?.(event)
      } catch (error) {
        throwLater(error)
      }
    }
  }
}

const KINDS = ['passed', 'limited', 'unauthorized', 'forbidden', 'retry', 'failed', 'error']

function checkedKind(kind) {
  if (kind === undefined || KINDS.includes(kind)) return kind
  const shown = typeof kind === 'string' ? `'${kind}'` : typeof kind
  const error = new TypeError(`classify: gave ${shown}; give undefined or one of ${KINDS.join(', ')}`)
  error.code = 'ERR_INVALID_RETURN_VALUE'
  throw error
}

function readHeaders(headers, options) {
  const { nowMs = Date.now() } = checked(options, { nowMs: 'number' })
  return engine.readLimits(answers.headersIn(headers), nowMs)
}

module.exports = { Pacer, readHeaders, checkedCall, isPacer }
