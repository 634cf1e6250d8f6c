'use strict'

// Express, and whatever else calls `(req, res, next)`.

const { Gate, whenOver, isPromise, then } = require('./gate.js')
const { methodOf } = require('./routes.js')
const { TidegateStore } = require('./express-rate-limit-store.js')

const port = {
  request: (req) => req,
  response: (req, res) => res,
  // Express' own idea, by its `trust proxy`.
  ip: (req) => req.ip ?? req.socket?.remoteAddress,
  method: (req) => req.method,
  path: (req) => (req.baseUrl ?? '') + pathOf(req),
  route: routeOf,
  succeeded: (req, res) => res.statusCode < 400,
}

const OPTIONS = { handler: 'function', requestPropertyName: 'string' }

function rateLimit(options) {
  const gate = new Gate(options, port, OPTIONS)
  const { requestPropertyName = 'rateLimit', limiter, keyGenerator, identify } = gate.options
  const byAddress = !(limiter ?? keyGenerator ?? identify)

  function pass(passage, req, res, next) {
    if (passage === null) return next()
    const { decision } = passage
    req[requestPropertyName] = decision
    if (!decision.allowed) return refuse(gate, passage, req, res, next)
    tell(passage, res)
    if (passage.owes) whenOver(gate, [req, res], res, passage)
    next()
  }

  function middleware(req, res, next) {
    let passage
    try {
      passage = gate.enter([req, res])
    } catch (error) {
      return next(error)
    }
    if (!isPromise(passage)) return pass(passage, req, res, next)
    passage.then((entered) => pass(entered, req, res, next)).catch(next)
  }

  return Object.defineProperties(middleware, {
    limiter: { value: gate.limiter },
    failures: { get: () => gate.failures },
    resetKey: { value: (key) => gate.limiter.reset(byAddress ? { ip: key } : key) },
  })
}

// Express gives each request and response a prototype anew, and V8 has to look up all that is touched: so it is not asked first
// whether the headers were sent.
function tell(passage, res) {
  try {
    passage.eachHeader((name, value) => res.setHeader(name, value))
  } catch (error) {
    if (error?.code !== 'ERR_HTTP_HEADERS_SENT') throw error
  }
}

// Where nothing can be answered any more (the headers were sent), `next` is told: plain http catches nothing.
function refuse(gate, passage, req, res, next) {
  const { handler } = gate.options
  const answer = (refusal) => {
    for (const name in refusal.headers) res.setHeader(name, refusal.headers[name])
    if (handler) return handler(req, res, next, toldToHandler(refusal, passage))
    res.statusCode = refusal.status
    res.setHeader('Content-Type', refusal.contentType)
    res.end(refusal.text)
  }
  try {
    const answered = then(gate.refusal(passage, [req, res]), answer)
    if (isPromise(answered)) answered.then(undefined, next)
  } catch (error) {
    next(error)
  }
}

// `statusCode` and `message` are what handlers of express-rate-limit send; of a message in JSON its value, which `res.send` writes.
function toldToHandler(refusal, { decision }) {
  const { status, contentType, text } = refusal
  return { ...refusal, statusCode: status, message: contentType.includes('json') ? JSON.parse(text) : text, decision }
}

// The path alone, where Express has not parsed it: as `URL` reads it, for so do handlers; clients may also send what it refuses.
function pathOf({ path, url }) {
  if (path !== undefined) return path
  const base = 'http://localhost'
  return URL.canParse(url, base) ? new URL(url, base).pathname : url
}

// The pattern of the route that the routers will find, asked of them: so it is known before they have looked.
function routeOf(req) {
  return `${methodOf(req.method)} ${patternOf(req) ?? port.path(req)}`
}

function patternOf(req) {
  const { app, route } = req
  const stack = (app?._router ?? app?.router)?.stack
  const mount = app?.path?.() ?? ''
  const path = port.path(req)
  if (Array.isArray(stack) && path.toLowerCase().startsWith(mount.toLowerCase())) {
    const found = findIn(stack, req.method.toLowerCase(), path.slice(mount.length) || '/', mount, 0)
    if (found.own ?? found.all) return found.own ?? found.all
  }
  return typeof route?.path === 'string' ? joined(req.baseUrl, route.path) : undefined
}

// Routers in routers, and so on; a limit for what a circle would be.
const DEEPEST = 32

// The first route with a handler for the method (`own`), and the first for all methods (`all`), mostly a guard before others.
function findIn(stack, method, path, prefix, depth) {
  const result = {}
  for (const layer of stack) {
    const { route } = layer
    const inner = layer.handle?.stack
    if (route === undefined && (!Array.isArray(inner) || depth === DEEPEST)) continue
    const found = matched(layer, path)
    if (found === undefined) continue
    if (route === undefined) {
      const rest = path.slice(found.path.length) || '/'
      const below = findIn(inner, method, rest, joined(prefix, found.pattern ?? found.path), depth + 1)
      result.all ??= below.all
      result.own = below.own
    } else if (isForAll(route)) {
      result.all ??= joined(prefix, found.pattern ?? path)
    } else if (handles(route, method)) {
      result.own = joined(prefix, found.pattern ?? path)
    }
    if (result.own !== undefined) break
  }
  return result
}

// What a layer of Express' router matches of a path: newer ones give the pattern, older ones leave the path on the layer.
function matched(layer, path) {
  let match
  try {
    match = layer.match(path)
  } catch {
    return undefined
  }
  if (!match) return undefined
  const declared = match.pattern ?? layer.route?.path
  const pattern = typeof declared === 'string' ? declared : undefined
  return { path: match.path ?? layer.path ?? '', pattern }
}

function handles({ methods }, method) {
  return Boolean(methods[method] || (method === 'head' && methods.get))
}

// `app.all` makes a route of each method there is.
function isForAll({ methods }) {
  return Boolean(methods._all || (methods.connect && methods.trace))
}

function joined(prefix, pattern) {
  if (pattern === '/') return prefix || '/'
  return prefix.replace(/\/$/, '') + pattern
}

// As express-rate-limit has it: the function itself, and by name.
module.exports = Object.assign(rateLimit, { rateLimit, default: rateLimit, TidegateStore })
