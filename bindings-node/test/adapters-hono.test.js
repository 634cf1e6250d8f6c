'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Hono } = require('hono')
const { Limiter, ManualClock } = require('tidegate')
const { rateLimit } = require('tidegate/hono')
const { suite, START } = require('./adapters/suite.js')

suite('hono')

test('hono: without Node\'s server; handler', async () => {
  const clock = new ManualClock(START)
  const time = { name: 'time', method: 'latency', rate: '1h/day', algorithm: 'fixed_window' }
  const limiter = new Limiter({ limit: [{ name: 'r', rate: '1/minute' }, time] }, { clock })
  const app = new Hono()
  app.use(rateLimit({ limiter, keyGenerator: () => 'k', handler: (c, next, { text }) => new Response(text, { status: 503 }) }))
  app.get('/', (c) => (clock.advance(20), c.text('ok')))
  const response = await app.request('/')
  assert.deepEqual([response.status, response.headers.get('x-ratelimit-limit')], [200, '1'])
  assert.equal(limiter.snapshot('k').buckets[1].used, 20e6)
  const denied = await app.request('/')
  assert.deepEqual([denied.status, denied.headers.get('retry-after')], [503, '60'])
  assert.equal((await denied.json()).error.code, 'RATE_LIMIT_EXCEEDED')
})

test('hono: of two limits the inner one is told, as of every framework', async () => {
  const limit = (policy) => rateLimit({ limiter: new Limiter(policy, { clock: new ManualClock(START) }), keyGenerator: () => 'k' })
  const app = new Hono()
  app.use(limit('9/minute'))
  app.use(limit('1/minute'))
  app.get('/', (c) => c.text('ok'))
  const told = ({ status, headers }) => [status, headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')]
  assert.deepEqual(told(await app.request('/')), [200, '1', '0'])
  assert.deepEqual(told(await app.request('/')), [429, '1', '0'])
})
