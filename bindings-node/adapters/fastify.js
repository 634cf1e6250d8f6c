'use strict'

// A Fastify plugin: every route of the server, or, with `global: false`, those whose config asks for it.

const { addressReader } = require('./addresses.js')
const { Gate, whenOver, isPromise, then } = require('./gate.js')
const { methodOf } = require('./routes.js')
const { wrongType } = require('../lib/options.js')

const port = {
  request: (request) => request.raw,
  response: (request, reply) => reply.raw,
  // Fastify's own idea, by its `trustProxy`.
  ip: (request) => request.ip,
  method: (request) => request.method,
  path: pathOf,
  route: (request) => `${methodOf(request.method)} ${request.routeOptions?.url ?? pathOf(request)}`,
  succeeded: (request, reply) => reply.statusCode < 400,
}

// Names of @fastify/rate-limit that mean the same as ours.
const OTHER_NAMES = { max: 'limit', skipOnError: 'passOnStoreError' }
const OWN = { period: 'string', errorResponseBuilder: 'function', onExceeded: 'function' }
// What users write and `renamed` takes away: errors name these, too.
const THEIRS = { max: 'any', timeWindow: 'any', allowList: 'any', skipOnError: 'any', enableDraftSpec: 'any' }
// The ways to say what the limit is; a route that takes one leaves the plugin's.
const WAYS = ['limiter', 'rate', 'limit', 'windowMs', 'period']
const HOOKS = ['onRequest', 'preValidation', 'preHandler']

// What Fastify prints then.
const NO_ROUTES = '(empty tree)'

// Header fields that a reply has not sent yet are an object by names in small letters, under a symbol of Fastify's.
// `reply.header` looks each name up twice among all that were ever used; to set three there takes a quarter of the time that a
// limit adds to a request. Where a Fastify keeps them otherwise, it is asked as everybody asks it.
class Fields {
  // Undefined: no reply was seen yet; null: they are kept otherwise.
  #symbol

  add(passage, reply) {
    if (this.#symbol === undefined) this.#symbol = symbolOf(reply)
    if (this.#symbol === null) passage.eachHeader((name, value) => reply.header(name, value), true)
    else passage.addTo(reply[this.#symbol])
  }
}

function symbolOf(reply) {
  const symbol = Object.getOwnPropertySymbols(reply).find(({ description }) => description === 'fastify.reply.headers')
  const [name, tried] = ['x-ratelimit-limit', 'tried']
  const before = reply.getHeader(name)
  reply.header(name, tried)
  const isKept = reply[symbol]?.[name] === tried
  if (before === undefined) reply.removeHeader(name)
  else reply.header(name, before)
  return isKept ? symbol : null
}

class Limit {
  #gate
  #fields = new Fields()

  constructor(options) {
    const { allowList, ...given } = options
    const skip = allowList === undefined ? given.skip : skipOf(allowList, given)
    this.#gate = new Gate({ ...given, skip }, port, { ...THEIRS, ...OWN })
  }

  get failures() {
    return this.#gate.failures
  }

  run(request, reply, done) {
    let passage
    try {
      passage = this.#gate.enter([request, reply])
    } catch (error) {
      return done(error)
    }
    if (!isPromise(passage)) return this.#pass(passage, request, reply, done)
    passage.then((entered) => this.#pass(entered, request, reply, done)).catch(done)
  }

  #pass(passage, request, reply, done) {
    if (passage === null) return done()
    const { decision } = passage
    request.rateLimit = decision
    if (!decision.allowed) return void this.#refuse(passage, request, reply).catch(done)
    this.#fields.add(passage, reply)
    if (passage.owes) whenOver(this.#gate, [request, reply], reply.raw, passage)
    done()
  }

  async #refuse(passage, request, reply) {
    const { decision } = passage
    const { errorResponseBuilder, onExceeded } = this.#gate.options
    const { status, headers, contentType, text } = await this.#gate.refusal(passage, [request, reply])
    onExceeded?.(request, decision)
    reply.headers(headers)
    if (errorResponseBuilder) {
      const { limit: max, retryAfterMs: ttl } = decision
      throw errorResponseBuilder(request, { statusCode: status, max, ttl, after: `${Math.ceil(ttl / 1000)} seconds`, decision })
    }
    reply.code(status).type(contentType).send(text)
  }
}

// On the config of routes that `onRoute` has told of.
const TOLD = Symbol('tidegate')

async function rateLimit(fastify, { hook = 'onRequest', global = true, ...options }) {
  if (fastify.hasDecorator('rateLimitFailures')) {
    const remedy = 'give routes their own limits with config.rateLimit, or register it in plugins beside each other'
    throw new Error(`tidegate/fastify: is registered already, here or around this plugin; ${remedy}`)
  }
  if (!HOOKS.includes(hook)) throw new TypeError(`hook: must be one of ${HOOKS.join(', ')}`)
  if (typeof global !== 'boolean') throw wrongType('global', 'a boolean', global)
  const shared = renamed(options)
  const says = WAYS.some((way) => shared[way] !== undefined)
  // Without limits of its own the plugin only serves the routes that have some.
  const everywhere = global || says ? new Limit(shared) : null
  const made = new Map()

  // What limits a route; its options are those of the plugin but for its own. Routes that have the same object (a GET and its
  // HEAD) have one limit.
  function limitOf({ url, config: { rateLimit: own } = {} }) {
    if (own === undefined) return global ? everywhere : null
    if (own === false) return null
    if (own === null || typeof own !== 'object') {
      throw new TypeError(`${url}: config.rateLimit: must be an object of options, or false`)
    }
    if (!made.has(own)) made.set(own, new Limit(together(shared, renamed(own))))
    return made.get(own)
  }

  fastify.decorateRequest('rateLimit', null)
  fastify.decorate('rateLimitFailures', () =>
    [everywhere, ...made.values()].reduce((sum, limit) => sum + (limit?.failures ?? 0), 0),
  )
  // Routes that were there before: this function runs later than `register`, which nobody waited for.
  const isLate = fastify.printRoutes() !== NO_ROUTES
  // At each route, and not by a look at `request.routeOptions`, which Fastify makes anew each time. A mistake is told here, too.
  fastify.addHook('onRoute', (route) => {
    if (isLate) route.config = { ...route.config, [TOLD]: true }
    const limit = limitOf({ url: route.url, config: route.config })
    if (limit === null) return
    // The route of a HEAD has its GET's hooks already; nobody is asked twice.
    const ask = (request, reply, done) => (request.rateLimit === null ? limit.run(request, reply, done) : done())
    route[hook] = [ask, ...[route[hook] ?? []].flat()]
  })
  // Paths that nobody serves are guessed at, too.
  if (global) {
    fastify.addHook(hook, (request, reply, done) => (request.is404 ? everywhere.run(request, reply, done) : done()))
  }
  // A hook of the server is for its earlier routes as well, and asks each request which route it is.
  if (isLate) {
    fastify.addHook(hook, (request, reply, done) => {
      const { url, config } = request.routeOptions
      const limit = request.is404 || config[TOLD] ? null : limitOf({ url, config })
      return limit === null ? done() : limit.run(request, reply, done)
    })
  }
}

function together(shared, own) {
  const says = (way) => own[way] !== undefined
  const merged = { ...shared, ...own }
  // A route that says itself who is not asked leaves what the plugin says of that.
  if (own.skip !== undefined) delete merged.allowList
  else if (own.allowList !== undefined) delete merged.skip
  if (!WAYS.some(says)) return merged
  const span = says('windowMs') || says('period')
  const goesOn = { limit: span, windowMs: says('limit') && !span, period: says('limit') && !span }
  for (const way of WAYS) if (!says(way) && !goesOn[way]) delete merged[way]
  return merged
}

// The options of a plugin, with our names.
function renamed({ enableDraftSpec, allowList, timeWindow, ...options }) {
  const { max } = options
  if (max !== undefined && typeof max !== 'number') {
    throw wrongType('max', 'a number (limits that differ by request are plans of a policy)', max)
  }
  if (!['undefined', 'string', 'number'].includes(typeof timeWindow)) {
    throw wrongType('timeWindow', "milliseconds, or a text such as '1 minute'", timeWindow)
  }
  const known = { ...options }
  for (const [theirs, ours] of Object.entries(OTHER_NAMES)) {
    if (known[theirs] === undefined) continue
    if (known[ours] !== undefined) throw new TypeError(`${theirs}, ${ours}: give one of them`)
    known[ours] = known[theirs]
    delete known[theirs]
  }
  if (timeWindow !== undefined) known[typeof timeWindow === 'string' ? 'period' : 'windowMs'] = timeWindow
  if (enableDraftSpec) Object.assign(known, { standardHeaders: true, legacyHeaders: false })
  if (allowList !== undefined) known.allowList = allowListOf(allowList, known)
  return known
}

function allowListOf(allowList, { skip, identify }) {
  if (skip !== undefined) throw new TypeError('allowList, skip: give one of them')
  if (typeof allowList === 'function') return allowList
  if (!Array.isArray(allowList)) throw new TypeError('allowList: must be an array of keys or a function')
  if (identify !== undefined) throw new TypeError('allowList: with identify, list them as `exempt` in the policy')
  return allowList
}

// Keys that are never limited, those of the route at hand, or a function that says who is not.
function skipOf(allowList, { keyGenerator, trustProxy, proxyHeader }) {
  if (typeof allowList === 'function') return allowList
  const listed = new Set(allowList)
  const addressOf = trustProxy === undefined ? undefined : addressReader(trustProxy, proxyHeader)
  const keyOf = keyGenerator ?? (addressOf ? ({ raw }) => addressOf(raw) : ({ ip }) => ip)
  return (request) => then(keyOf(request), (key) => listed.has(key))
}

function pathOf({ url }) {
  return url.split(/[?#;]/, 1)[0]
}

// What fastify-plugin would do: hooks and decorators are for the server that the plugin is registered at, not for a part.
rateLimit[Symbol.for('skip-override')] = true
rateLimit[Symbol.for('fastify.display-name')] = 'tidegate'
rateLimit[Symbol.for('plugin-meta')] = { fastify: '5.x', name: 'tidegate' }

module.exports = rateLimit
module.exports.rateLimit = rateLimit
module.exports.default = rateLimit
