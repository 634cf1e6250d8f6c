'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const { once } = require('node:events')
const { test } = require('node:test')

const Koa = require('koa')
const { Router } = require('@koa/router')
const { Limiter } = require('tidegate')
const { rateLimit } = require('tidegate/koa')
const { suite } = require('./adapters/suite.js')

suite('koa')

test('koa: in a router the route is known; handler', async (t) => {
  const limiter = new Limiter({ limit: [{ name: 'r', rate: '1/minute', by: ['route'] }] })
  const limit = rateLimit({
    limiter,
    handler: (ctx, next, { status, decision }) => Object.assign(ctx, { status, body: [decision.name] }),
  })
  const app = new Koa()
  const router = new Router()
  router.use(limit)
  router.get('/Items/:id', (ctx) => void (ctx.body = ctx.state.rateLimit))
  app.use(router.routes())
  const server = http.createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  const get = (path) => fetch(`http://127.0.0.1:${server.address().port}${path}`)
  assert.equal((await get('/Items/1')).status, 200)
  const denied = await get('/items/2')
  assert.deepEqual([denied.status, denied.headers.get('retry-after'), await denied.json()], [429, '60', ['r']])
  assert.equal(limiter.snapshot({ route: 'GET /Items/:id' }).buckets[0].used, 1)
  assert.throws(() => rateLimit({ limiter, router: {} }), /router: must be a router/)
})
