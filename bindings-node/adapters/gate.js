'use strict'

// What the adapters of all frameworks share: who asks, what it costs, what the answer says, and what is given back when the
// response has ended. Decisions, headers and bodies are the engine's.
//
// An adapter gives a *port*, how to look at a request of its framework, and calls
//
//   gate.enter(args)               a `Passage`, or null for a request that is let through unasked; perhaps a promise of it
//   gate.refusal(passage, args)    what to answer to a denied one; perhaps a promise of it
//
// `args` is what its framework gives to a handler, and what the functions among the options are called with.

const { OutgoingMessage } = require('node:http')
const { inspect } = require('node:util')

const { Limiter, ENTER } = require('../lib/limiter.js')
const { checked, wrongType } = require('../lib/options.js')
const { Address, STYLES } = require('../lib/passage.js')
const { addressReader, rangeError } = require('./addresses.js')
const { routeResolver } = require('./routes.js')

// The options that all adapters have. Functions may give promises.
const OPTIONS = {
  limiter: 'any',
  rate: 'string',
  windowMs: 'number',
  limit: 'any',
  identify: 'function',
  keyGenerator: 'function',
  route: 'any',
  cost: 'any',
  actualCost: 'function',
  skip: 'function',
  statusCode: 'number',
  body: 'string',
  message: 'any',
  standardHeaders: 'any',
  legacyHeaders: 'boolean',
  requestWasSuccessful: 'function',
  skipFailedRequests: 'boolean',
  skipSuccessfulRequests: 'boolean',
  passOnStoreError: 'boolean',
  onError: 'function',
  trustProxy: 'any',
  proxyHeader: 'string',
}

const NAMED_STYLES = Object.keys(STYLES)

const BODIES = ['error', 'message', 'problem']

// What the caller got wrong, and no failure of the engine: letting it pass would make a request without a key free.
const MISTAKES = ['ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE']

class Gate {
  #options
  // Of the options, what every request asks for: V8 looks among so many by hashes.
  #skip
  #cost
  #port
  #subjectOf
  #style
  #settles
  #warned = false
  // Calls into the engine that failed.
  failures = 0

  // `more`: options of this adapter alone.
  constructor(options, port, more = {}) {
    const given = checked(options, { ...OPTIONS, ...more })
    this.#options = given
    this.#skip = given.skip
    this.#cost = given.cost ?? 1
    this.#port = port
    const { own, by } = shorthandOf(given)
    this.limiter = own ?? givenLimiter(given.limiter)
    this.#subjectOf = this.#reader(by)
    this.#style = STYLES[styleOf(given)]
    const { actualCost, skipFailedRequests, skipSuccessfulRequests } = given
    this.#settles = Boolean(actualCost ?? (skipFailedRequests || skipSuccessfulRequests))
    checkTogether(given)
    if (by === undefined && !given.identify && !given.keyGenerator) askForKey(this.limiter)
  }

  // The options of the adapter, as they were given.
  get options() {
    return this.#options
  }

  enter(args) {
    const skip = this.#skip
    if (skip === undefined) return this.#identified(args)
    return then(skip(...args), (skipped) => (skipped ? null : this.#identified(args)))
  }

  // These two make no function for those who wait when nobody does.
  #identified(args) {
    const subject = this.#subjectOf(args)
    return isPromise(subject) ? subject.then((known) => this.#priced(args, known)) : this.#priced(args, subject)
  }

  #priced(args, subject) {
    const cost = this.#cost
    if (typeof cost !== 'function') return this.#ask(args, subject, cost)
    return then(cost(...args), (units) => this.#ask(args, subject, units))
  }

  #ask(args, subject, cost) {
    try {
      if (!this.#settles) return this.limiter[ENTER](subject, cost, this.#style)
      return new Estimate(this, this.limiter.reserve(subject, cost), subject, args, NAMED_STYLES[this.#style])
    } catch (error) {
      if (!MISTAKES.includes(error?.code)) {
        this.failed(error, args)
        if (this.#options.passOnStoreError) return null
      }
      throw error
    }
  }

  // The engine failed, or a function of the user's after the response: nobody waits for the answer, so it is counted and told.
  failed(error, args) {
    this.failures++
    const warn = (thrown) => this.#warn(thrown)
    try {
      const told = this.#options.onError?.(error, ...args)
      if (isPromise(told)) told.then(undefined, warn)
    } catch (thrown) {
      warn(thrown)
    }
  }

  // Thrown on, it would end the process where the response has ended. Once: a failure seldom comes alone.
  #warn(thrown) {
    if (this.#warned) return
    this.#warned = true
    const options = { type: 'TidegateWarning', code: 'TIDEGATE_ON_ERROR', detail: inspect(thrown) }
    process.emitWarning('tidegate: onError has failed itself (told once; failures are counted)', options)
  }

  // The response is over. Nothing is thrown: nobody could catch it.
  over(passage, args, completed) {
    try {
      passage.end(completed)
    } catch (error) {
      this.failed(error, args)
    }
  }

  // { status, headers, contentType, text }
  refusal(passage, args) {
    const { decision } = passage
    const { statusCode, body, message } = this.#options
    const status = statusCode ?? decision.status
    const headers = {}
    passage.eachHeader((name, value) => (headers[name] = value))
    if (this.#style === STYLES.none) {
      const { 'Retry-After': wait } = decision.headers()
      if (wait !== undefined) headers['Retry-After'] = wait
    }
    if (decision.closes && this.#port.response(...args)?.req?.httpVersionMajor !== 2) headers.Connection = 'close'
    if (message === undefined) {
      return { status, headers, contentType: decision.contentType(body), text: decision.body(body) }
    }
    const words = typeof message === 'function' ? message(...args) : message
    return then(words, (said) => ({ status, headers, ...written(said) }))
  }

  // How the end of an estimate is settled: what the response cost in the end, undefined for what was taken, null for nothing.
  actualCost(args, completed) {
    const { actualCost, skipFailedRequests, skipSuccessfulRequests } = this.#options
    const { requestWasSuccessful = this.#port.succeeded } = this.#options
    const judged = skipFailedRequests || skipSuccessfulRequests
    const success = judged ? completed && requestWasSuccessful(...args) : true
    return then(success, (succeeded) => {
      if (judged && (succeeded ? skipSuccessfulRequests : skipFailedRequests)) return null
      return actualCost?.(...args)
    })
  }

  // The function that reads who asks; `by` is the one attribute of a limiter of our own.
  #reader(by) {
    const { identify, keyGenerator, trustProxy, proxyHeader } = this.#options
    const port = this.#port
    const addressOf = trustProxy === undefined ? undefined : addressReader(trustProxy, proxyHeader)
    if (proxyHeader !== undefined && addressOf === undefined) {
      throw new TypeError('proxyHeader: says nothing without trustProxy')
    }
    const ip = addressOf ? (args) => addressOf(port.request(...args)) : (args) => port.ip(args[0])
    const route = routeResolver(this.#options.route, port)
    // A limiter of our own asks for no more.
    if (by === 'ip') {
      const address = (args) => ip(args) ?? withoutAddress()
      return (args) => (this.#settles ? { ip: address(args) } : new Address(address(args)))
    }
    const given = identify ?? keyGenerator
    if (by === 'key') return (args) => then(given(...args), asKey)
    const facts = (args) => present({ ip: ip(args), route: route(args) })
    if (given === undefined) return facts
    return (args) => then(given(...args), (own) => merged(facts(args), own))
  }
}

// A request that was asked about where the response says what it cost; else it is a `Passage` of lib/passage.js.
class Estimate {
  #gate
  #reservation
  #subject
  #args
  #style
  #over = false

  constructor(gate, reservation, subject, args, style) {
    this.#gate = gate
    this.#reservation = reservation
    this.#subject = subject
    this.#args = args
    this.#style = style
    this.decision = reservation.decision
  }

  get owes() {
    return this.decision.allowed
  }

  eachHeader(set, lower = false) {
    if (this.#style === 'none') return
    for (const [name, value] of Object.entries(this.decision.headers(this.#style))) set(lower ? name.toLowerCase() : name, value)
  }

  addTo(fields) {
    this.eachHeader((name, value) => (fields[name] = value), true)
  }

  end(completed) {
    if (this.#over || !this.decision.allowed) return
    this.#over = true
    try {
      // The limiter's own clock says how long it took.
      const { madeAtMs: ended } = this.#gate.limiter.peek(this.#subject, 0)
      this.#gate.limiter.recordLatency(this.#subject, Math.max(0, ended - this.decision.madeAtMs))
      const settled = then(this.#gate.actualCost(this.#args, completed), (units) => this.#settle(units))
      if (isPromise(settled)) settled.then(undefined, (error) => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
  }

  #settle(units) {
    // Permits come back with it.
    if (units === null) return this.#reservation.cancel()
    if (units !== undefined) this.#reservation.settle(units)
    this.#gate.limiter.release(this.#subject)
  }

  // What was taken stands; only the permits come back.
  #fail(error) {
    this.#gate.failed(error, this.#args)
    try {
      this.#gate.limiter.release(this.#subject)
    } catch (more) {
      this.#gate.failed(more, this.#args)
    }
  }
}

// Ends a passage when the response of Node is over: all of it sent, broken off, or nobody there any more. For passages that owe
// something then.
function whenOver(gate, args, response, passage) {
  if (response.closed || response.destroyed) return gate.over(passage, args, false)
  const end = () => gate.over(passage, args, response.writableFinished)
  response.on('close', end)
  // Node's own responses over HTTP/1 close as soon as they have finished; others may do only one of them.
  if (!(response instanceof OutgoingMessage)) response.on('finish', end)
  else if (response.socket === null) endWithConnection(response, end)
}

// What is to be called when a connection is over, for the responses that wait there.
const waiting = new WeakMap()

// A response that waits for others on its connection (the requests were pipelined) has no socket yet, and hears nothing when the
// client goes.
function endWithConnection(response, end) {
  const socket = response.req?.socket
  if (!socket) return
  const known = waiting.get(socket)
  const ends = known ?? new Set()
  if (known === undefined) {
    waiting.set(socket, ends)
    socket.once('close', () => ends.forEach((each) => each()))
  }
  ends.add(end)
  response.once('close', () => ends.delete(end))
}

// The limiter that `rate`, or `limit` and `windowMs`, make, and the attribute that it limits by.
function shorthandOf({ limiter, rate, windowMs, period, limit, keyGenerator, identify }) {
  const span = period ?? `${windowMs ?? 60_000}ms`
  const ways = [limiter, rate, limit ?? windowMs ?? period].filter((way) => way !== undefined)
  if (ways.length !== 1) {
    throw new TypeError("options: give one of `limiter`, `rate` ('100/minute') and `limit` with `windowMs`")
  }
  if (limiter !== undefined) return {}
  const by = keyGenerator ?? identify ? 'key' : 'ip'
  const limits = rate === undefined ? [windowOf(limit, span)] : rate.split(';').map((one) => ({ rate: one.trim() }))
  return { own: new Limiter({ limit: limits.map((one) => ({ ...one, by: [by] })) }), by }
}

// As express-rate-limit counts: a window of a minute from the first request on.
function windowOf(limit, period) {
  if (typeof limit !== 'number') {
    throw wrongType('limit', 'a number (limits that differ by request are plans of a policy)', limit)
  }
  return { name: 'requests', quota: limit, period, algorithm: 'fixed_window', align: 'first_request' }
}

function givenLimiter(limiter) {
  if (!(limiter instanceof Limiter)) throw wrongType('limiter', 'a Limiter', limiter)
  return limiter
}

function styleOf({ standardHeaders = false, legacyHeaders = true }) {
  if (![true, false, 'draft-8'].includes(standardHeaders)) {
    throw rangeError("standardHeaders: must be a boolean or 'draft-8', whose fields are those of the newest draft")
  }
  if (standardHeaders) return legacyHeaders ? 'both' : 'draft'
  return legacyHeaders ? 'legacy' : 'none'
}

function checkTogether({ identify, keyGenerator, cost = 1, statusCode = 429, body = 'error' }) {
  if (identify && keyGenerator) throw new TypeError('identify, keyGenerator: give one of them')
  if (!['number', 'bigint', 'function'].includes(typeof cost)) {
    throw wrongType('cost', 'a whole number or a function that gives one', cost)
  }
  if (!Number.isInteger(statusCode) || statusCode < 400 || statusCode > 599) {
    throw rangeError('statusCode: must be a whole number from 400 to 599')
  }
  if (!BODIES.includes(body)) throw rangeError(`body: must be one of ${BODIES.join(', ')}`)
}

// A policy by key with nobody to give a key would refuse every request: said when the middleware is made.
function askForKey(limiter) {
  try {
    limiter.peek({ ip: '192.0.2.1', route: 'GET /' })
  } catch (error) {
    if (error.field !== 'key') return
    const remedy = 'give identify or keyGenerator, or limit by = ["ip"] in the policy'
    throw new TypeError(`identify: the limiter's policy limits by key, and nothing says whose request it is; ${remedy}`)
  }
}

function withoutAddress() {
  const why = 'the request has no address (it came through a Unix socket, or not through a server of Node)'
  throw new TypeError(`ip: ${why}; give keyGenerator`)
}

// What is no key is for the engine to refuse.
function asKey(key) {
  return typeof key === 'string' ? key : present({ key })
}

// `own`: a key, or attributes, which take the place of what is known of the request.
function merged(facts, own) {
  if (typeof own === 'string' || own instanceof Uint8Array) facts.key = own
  else if (own !== null && own !== undefined) Object.assign(facts, own)
  return present(facts)
}

// Without the attributes that the request does not have.
function present(attributes) {
  for (const name in attributes) {
    if (attributes[name] === undefined || attributes[name] === null) delete attributes[name]
  }
  return attributes
}

function written(said) {
  if (typeof said === 'string') return { contentType: 'text/plain; charset=utf-8', text: said }
  return { contentType: 'application/json', text: JSON.stringify(said) }
}

// Goes on with a value, at once or when its promise is kept.
function then(value, next) {
  return isPromise(value) ? value.then(next) : next(value)
}

function isPromise(value) {
  return (typeof value === 'object' || typeof value === 'function') && typeof value?.then === 'function'
}

module.exports = { Gate, whenOver, isPromise, then }
