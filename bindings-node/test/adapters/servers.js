'use strict'

// The same small service in each framework, with its adapter before it: what the tests of adapters talk to.
//
// `work` says what the routes do: `tick(ms)` moves a manual clock, `arrived(key)` notes who came to a handler.

const http = require('node:http')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')

const idle = { tick() {}, arrived() {} }

// Ends when the response is over, also when the client has gone.
function over(res) {
  return res.closed ? Promise.resolve() : once(res, 'close')
}

async function streamed(res, work) {
  res.write('a')
  work.tick(50)
  await new Promise(setImmediate)
  res.write('b')
  work.tick(50)
  res.end()
}

async function listening(server, more = {}) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = server.address().port
  return {
    server,
    port,
    origin: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
    ...more,
  }
}

function expressServer(express) {
  return async function serve(options, work = idle, { settings = {} } = {}) {
    const { rateLimit } = require('tidegate/express')
    const app = express()
    for (const [name, value] of Object.entries(settings)) app.set(name, value)
    const limit = rateLimit(options)
    app.use(limit)
    app.get('/work', (req, res, next) => {
      work.arrived(req.get('x-key'))
      sleep(Number(req.query.ms ?? 0)).then(() => res.json({ ok: true }), next)
    })
    app.get('/tick', (req, res) => (work.tick(Number(req.query.ms)), res.json({ ok: true })))
    app.get('/fail', () => {
      work.tick(30)
      throw new Error('as asked')
    })
    app.get('/stream', (req, res) => void streamed(res, work))
    app.get('/hang', (req, res) => (work.arrived(req.get('x-key')), res.flushHeaders()))
    app.get('/silent', (req) => work.arrived(req.get('x-key')))
    app.get('/status/:code', (req, res) => res.status(Number(req.params.code)).json({}))
    const items = express.Router()
    items.get('/Items/:id', (req, res) => res.json(req.rateLimit))
    items.delete('/Items/:id', (req, res) => res.json(req.rateLimit))
    app.use('/v1', items)
    app.use((error, req, res, next) => (res.headersSent ? next(error) : res.status(500).json({ failed: error.message })))
    return listening(http.createServer(app), { failures: () => limit.failures })
  }
}

async function fastifyServer(options, work = idle, { settings = {} } = {}) {
  const fastify = require('fastify')(settings)
  await fastify.register(require('tidegate/fastify'), options)
  fastify.get('/work', async (request) => {
    work.arrived(request.headers['x-key'])
    await sleep(Number(request.query.ms ?? 0))
    return { ok: true }
  })
  fastify.get('/tick', async (request) => (work.tick(Number(request.query.ms)), { ok: true }))
  fastify.get('/fail', async () => {
    work.tick(30)
    throw new Error('as asked')
  })
  fastify.get('/stream', (request, reply) => {
    const { PassThrough } = require('node:stream')
    const body = new PassThrough()
    reply.send(body)
    void streamed(body, work)
  })
  fastify.get('/hang', (request, reply) => {
    work.arrived(request.headers['x-key'])
    reply.hijack()
    reply.raw.flushHeaders()
  })
  fastify.get('/silent', (request, reply) => (work.arrived(request.headers['x-key']), over(reply.raw)))
  fastify.get('/status/:code', async (request, reply) => reply.code(Number(request.params.code)).send({}))
  fastify.get('/v1/Items/:id', async (request) => request.rateLimit)
  fastify.delete('/v1/Items/:id', async (request) => request.rateLimit)
  fastify.setErrorHandler((error, request, reply) => reply.code(500).send({ failed: error.message }))
  await fastify.ready()
  const { server } = fastify
  return {
    ...(await listening(server)),
    failures: () => fastify.rateLimitFailures(),
    close: () => (server.closeAllConnections(), fastify.close()),
  }
}

async function koaServer(options, work = idle, { settings = {} } = {}) {
  const Koa = require('koa')
  const { Router } = require('@koa/router')
  const { rateLimit } = require('tidegate/koa')
  const app = Object.assign(new Koa(), settings)
  app.silent = true
  const router = new Router()
  router.get('/work', async (ctx) => {
    work.arrived(ctx.get('x-key'))
    await sleep(Number(ctx.query.ms ?? 0))
    ctx.body = { ok: true }
  })
  router.get('/tick', (ctx) => {
    work.tick(Number(ctx.query.ms))
    ctx.body = { ok: true }
  })
  router.get('/fail', () => {
    work.tick(30)
    throw new Error('as asked')
  })
  router.get('/stream', (ctx) => {
    const { PassThrough } = require('node:stream')
    ctx.body = new PassThrough()
    void streamed(ctx.body, work)
  })
  router.get('/hang', (ctx) => {
    work.arrived(ctx.get('x-key'))
    ctx.respond = false
    ctx.res.statusCode = 200
    ctx.res.flushHeaders()
  })
  router.get('/silent', (ctx) => (work.arrived(ctx.get('x-key')), over(ctx.res)))
  router.get('/status/:code', (ctx) => {
    ctx.status = Number(ctx.params.code)
    ctx.body = {}
  })
  router.get('/v1/Items/:id', (ctx) => void (ctx.body = ctx.state.rateLimit))
  router.delete('/v1/Items/:id', (ctx) => void (ctx.body = ctx.state.rateLimit))
  const limit = rateLimit({ router, ...options })
  app.use(limit)
  app.use(router.routes())
  return listening(http.createServer(app.callback()), { failures: () => limit.failures })
}

async function honoServer(options, work = idle) {
  const { Hono } = require('hono')
  const { stream } = require('hono/streaming')
  const { getRequestListener } = require('@hono/node-server')
  const { rateLimit } = require('tidegate/hono')
  const app = new Hono()
  const limit = rateLimit(options)
  app.use(limit)
  app.get('/work', async (c) => {
    work.arrived(c.req.header('x-key'))
    await sleep(Number(c.req.query('ms') ?? 0))
    return c.json({ ok: true })
  })
  // A response of its own making, which knows nothing of the context.
  app.get('/tick', (c) => (work.tick(Number(c.req.query('ms'))), Response.json({ ok: true })))
  app.get('/fail', () => {
    work.tick(30)
    throw new Error('as asked')
  })
  app.get('/stream', (c) =>
    stream(c, async (body) => {
      await body.write('a')
      work.tick(50)
      await new Promise(setImmediate)
      await body.write('b')
      work.tick(50)
    }),
  )
  app.get('/hang', (c) => {
    work.arrived(c.req.header('x-key'))
    return stream(c, async (body) => {
      await body.write('a')
      await over(c.env.outgoing)
    })
  })
  app.get('/silent', async (c) => {
    work.arrived(c.req.header('x-key'))
    await over(c.env.outgoing)
    return c.json({})
  })
  app.get('/status/:code', (c) => c.json({}, Number(c.req.param('code'))))
  app.get('/v1/Items/:id', (c) => c.json(c.get('rateLimit')))
  app.delete('/v1/Items/:id', (c) => c.json(c.get('rateLimit')))
  app.onError((error, c) => c.json({ failed: error.message }, 500))
  return listening(http.createServer(getRequestListener(app.fetch)), { failures: () => limit.failures })
}

module.exports = {
  express: expressServer(require('express')),
  express4: expressServer(require('express4')),
  fastify: fastifyServer,
  koa: koaServer,
  hono: honoServer,
}
