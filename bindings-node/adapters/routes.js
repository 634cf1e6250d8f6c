'use strict'

// The attribute `route` of a request: a method, a blank, and the pattern under which the framework found its handler, so
// that a client cannot choose its limit by how it writes a path.

const { wrongType } = require('../lib/options.js')

// A function of the handler's arguments. `route`: the option, a function or patterns; else the port knows.
function routeResolver(route, port) {
  if (route === undefined) return (args) => port.route(...args)
  if (typeof route === 'function') return (args) => route(...args)
  if (!Array.isArray(route) || !route.every((pattern) => typeof pattern === 'string' && / \//.test(pattern))) {
    throw wrongType('route', "a function, or patterns such as ['GET /v3/configs/:key']", route)
  }
  const patterns = route.map(matcher)
  return (args) => {
    const path = port.path(...args)
    const method = methodOf(port.method(...args))
    const plain = decoded(path)
    return patterns.find((pattern) => pattern.matches(method, plain))?.text ?? `${method} ${path}`
  }
}

// As frameworks match by default: whatever the case, and with a slash at the end or without.
function matcher(text) {
  const [method, path] = text.split(' ')
  const parts = path.split('/').map((part) => (/^[:*]/.test(part) ? (part[0] === '*' ? '.+' : '[^/]+') : escaped(part)))
  const expression = new RegExp(`^${parts.join('/')}/?$`, 'i')
  return { text, matches: (asked, path) => (method === '*' || method === asked) && expression.test(path) }
}

// `/%61` is `/a` to frameworks that decode before they match.
function decoded(path) {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}

const escaped = (part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

// HEAD is answered by the handlers of GET in all frameworks, and so counts as it: it would be a way around its limits.
function methodOf(method) {
  return method === 'HEAD' ? 'GET' : method
}

module.exports = { routeResolver, methodOf }
