'use strict'

const { Gate, whenOver } = require('./gate.js')
const { methodOf } = require('./routes.js')

const port = {
  request: (ctx) => ctx.req,
  response: (ctx) => ctx.res,
  // Koa's own idea, by its `proxy`.
  ip: (ctx) => ctx.ip,
  method: (ctx) => ctx.method,
  path: (ctx) => ctx.path,
  // Known in the middleware of a router, once it has found the route.
  route: (ctx) => `${methodOf(ctx.method)} ${patternOf(ctx._matchedRoute) ?? ctx.path}`,
  succeeded: (ctx) => ctx.res.statusCode < 400,
}

// `router`: asked for the route where the limiter stands before it.
function portOf(router) {
  if (router === undefined) return port
  if (typeof router.match !== 'function') throw new TypeError('router: must be a router of @koa/router')
  return { ...port, route: (ctx) => `${methodOf(ctx.method)} ${foundBy(router, ctx) ?? ctx.path}` }
}

function foundBy(router, ctx) {
  const { pathAndMethod, route } = router.match(ctx.path, ctx.method)
  return route ? patternOf(pathAndMethod.findLast((layer) => layer.methods.length > 0)?.path) : undefined
}

const patternOf = (path) => (typeof path === 'string' ? path : undefined)

function rateLimit(options) {
  const gate = new Gate(options, portOf(options?.router), { router: 'any', handler: 'function' })

  async function middleware(ctx, next) {
    const passage = await gate.enter([ctx])
    if (passage === null) return next()
    const { decision } = passage
    ctx.state.rateLimit = decision
    if (!decision.allowed) return refuse(gate, decision, ctx, next)
    const headers = gate.headersOf(decision)
    ctx.set(headers)
    whenOver(ctx.res, passage)
    try {
      return await next()
    } catch (error) {
      // Koa takes all headers off the response to an error but those of the error.
      if (error instanceof Error) error.headers = { ...headers, ...error.headers }
      throw error
    }
  }

  return Object.defineProperties(middleware, {
    limiter: { value: gate.limiter },
    failures: { get: () => gate.failures },
  })
}

async function refuse(gate, decision, ctx, next) {
  const refusal = await gate.refusal(decision, [ctx])
  ctx.set(refusal.headers)
  if (gate.options.handler) return gate.options.handler(ctx, next, { ...refusal, decision })
  ctx.status = refusal.status
  ctx.type = refusal.contentType
  ctx.body = refusal.text
}

module.exports = { rateLimit }
