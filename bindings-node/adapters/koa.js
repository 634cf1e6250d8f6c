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
  // Known in the middleware of a router, once it has found its routes.
  route: (ctx) => routeOf(ctx, ctx.matched ?? []),
  succeeded: (ctx) => ctx.res.statusCode < 400,
}

// `router`: asked for the route where the limiter stands before it.
function portOf(router) {
  if (router === undefined) return port
  if (typeof router.match !== 'function') throw new TypeError('router: must be a router of @koa/router')
  return { ...port, route: (ctx) => routeOf(ctx, router.match(ctx.path, ctx.method).path) }
}

// The handler's, which comes last; layers without methods are middleware.
function routeOf(ctx, layers) {
  const layer = layers.findLast(({ methods }) => methods.includes(ctx.method))
  const pattern = typeof layer?.path === 'string' ? layer.path : ctx.path
  return `${methodOf(ctx.method)} ${pattern}`
}

function rateLimit(options) {
  const gate = new Gate(options, portOf(options?.router), { router: 'any', handler: 'function' })

  async function middleware(ctx, next) {
    const passage = await gate.enter([ctx])
    if (passage === null) return next()
    const { decision } = passage
    ctx.state.rateLimit = decision
    if (!decision.allowed) return refuse(gate, passage, ctx, next)
    passage.eachHeader((name, value) => ctx.set(name, value))
    if (passage.owes) whenOver(gate, [ctx], ctx.res, passage)
    try {
      return await next()
    } catch (error) {
      // Koa takes all headers off the response to an error but those of the error.
      if (error instanceof Error) error.headers = { ...headersOf(passage), ...error.headers }
      throw error
    }
  }

  return Object.defineProperties(middleware, {
    limiter: { value: gate.limiter },
    failures: { get: () => gate.failures },
  })
}

function headersOf(passage) {
  const headers = {}
  passage.eachHeader((name, value) => (headers[name] = value))
  return headers
}

async function refuse(gate, passage, ctx, next) {
  const refusal = await gate.refusal(passage, [ctx])
  ctx.set(refusal.headers)
  if (gate.options.handler) return gate.options.handler(ctx, next, { ...refusal, decision: passage.decision })
  ctx.status = refusal.status
  ctx.type = refusal.contentType
  ctx.body = refusal.text
}

module.exports = { rateLimit }
