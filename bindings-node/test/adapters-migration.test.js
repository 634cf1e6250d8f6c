'use strict'

// What the users of other limiters write, as their projects' own pages show it, with the one line changed.

const assert = require('node:assert/strict')
const http = require('node:http')
const { once } = require('node:events')
const { test } = require('node:test')

const express = require('express')
const peer = require('express-rate-limit')
const { ManualClock } = require('tidegate')
const tidegate = require('tidegate/express')
const { TidegateStore } = require('tidegate/express-rate-limit-store')
const { TidegateThrottlerStorage } = require('tidegate/nest')

async function served(t, app) {
  const server = http.createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  return (path = '/', init) => fetch(`http://127.0.0.1:${server.address().port}${path}`, init)
}

// The same options for the middleware of both packages; the statuses and what is left must be the same.
const EXAMPLES = {
  'basic use': { windowMs: 15 * 60 * 1000, limit: 3, standardHeaders: 'draft-8', legacyHeaders: false },
  'a message and a status': { windowMs: 60_000, limit: 2, message: { error: 'later' }, statusCode: 503 },
  'a function for the message': { windowMs: 60_000, limit: 1, message: async () => 'You can only make 1 request.' },
  keyGenerator: { windowMs: 60_000, limit: 2, keyGenerator: (req) => req.query.apiKey },
  skip: { windowMs: 60_000, limit: 1, skip: (req) => req.query.apiKey === 'b' },
  handler: { windowMs: 60_000, limit: 1, handler: (req, res, next, options) => res.status(options.statusCode).send('mine') },
  skipFailedRequests: { windowMs: 60_000, limit: 2, skipFailedRequests: true },
  skipSuccessfulRequests: { windowMs: 60_000, limit: 2, skipSuccessfulRequests: true },
  requestWasSuccessful: { windowMs: 60_000, limit: 1, skipFailedRequests: true, requestWasSuccessful: (req, res) => res.statusCode < 300 },
  requestPropertyName: { windowMs: 60_000, limit: 2, requestPropertyName: 'custom' },
}

for (const [title, options] of Object.entries(EXAMPLES)) {
  test(`express-rate-limit: ${title}: the same with tidegate/express, and with its store`, async (t) => {
    const answers = []
    const quiet = { validate: false }
    const ways = [
      peer.rateLimit({ ...options, ...quiet }),
      tidegate.rateLimit(options),
      peer.rateLimit({ ...options, ...quiet, store: new TidegateStore() }),
    ]
    for (const limiter of ways) {
      const app = express()
      app.use(limiter)
      app.get('/', (req, res) => {
        const info = req[options.requestPropertyName ?? 'rateLimit']
        res.status(Number(req.query.status ?? 200)).json({ remaining: info?.remaining, limit: info?.limit })
      })
      const get = await served(t, app)
      const seen = []
      for (const query of ['apiKey=a', 'apiKey=b', 'apiKey=a&status=404', 'apiKey=b', 'apiKey=a', 'apiKey=a']) {
        const response = await get(`/?${query}`)
        const text = await response.text()
        const left = response.headers.get('x-ratelimit-remaining')
        const own = response.status === 429 && options.message === undefined && options.handler === undefined
        seen.push([response.status, left, response.headers.has('retry-after'), own ? 'a denial' : text])
      }
      answers.push(seen)
    }
    assert.deepEqual(answers[1], answers[0])
    assert.deepEqual(answers[2], answers[0])
  })
}

// What only its own middleware has: the store must serve that, too.
const WITH_STORE = {
  'a function for the limit': { limit: async (req) => (req.query.apiKey === 'a' ? 3 : 1) },
  'draft 6': { limit: 2, standardHeaders: 'draft-6' },
  'draft 7, a name': { limit: 2, standardHeaders: 'draft-7', legacyHeaders: false, identifier: 'mine' },
  'a network of IPv6': { limit: 2, keyGenerator: (req) => peer.ipKeyGenerator(`2001:db8::${req.query.apiKey}`, 64) },
}

for (const [title, options] of Object.entries(WITH_STORE)) {
  test(`express-rate-limit: ${title}: the same with this store`, async (t) => {
    const answers = []
    for (const store of [undefined, new TidegateStore()]) {
      const app = express()
      const limit = peer.rateLimit({ windowMs: 60_000, validate: false, ...options, ...(store && { store }) })
      app.get('/', limit, (req, res) => res.json([req.rateLimit.used, req.rateLimit.remaining]))
      app.delete('/:key', (req, res) => (limit.resetKey(req.params.key), res.end()))
      const get = await served(t, app)
      const seen = []
      const ask = async (path, init) => {
        const response = await get(path, init)
        const headers = [...response.headers].filter(([name]) => /ratelimit-(limit|remaining|policy)/.test(name))
        seen.push([response.status, headers, await response.text()])
      }
      for (const key of ['a', 'b', 'a', 'b', 'a']) await ask(`/?apiKey=${key}`)
      await ask('/127.0.0.1', { method: 'DELETE' })
      await ask('/?apiKey=a')
      answers.push(seen)
    }
    assert.deepEqual(answers[1], answers[0])
    assert.ok(answers[0].some(([status]) => status === 429))
  })
}

// The forms in which programs take express-rate-limit: only the name of the package changes.
test('express-rate-limit: tidegate/express is taken in the same ways', async () => {
  for (const name of ['express-rate-limit', 'tidegate/express']) {
    const required = require(name)
    const imported = await import(name)
    for (const one of [required, required.rateLimit, required.default, imported.default, imported.rateLimit]) {
      assert.equal(typeof one({ windowMs: 1000, limit: 1 }), 'function', name)
    }
  }
})

test('express-rate-limit: the store counts as its contract says', () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  const store = new TidegateStore({ prefix: 'login:', clock })
  store.init({ windowMs: 1000 })
  assert.equal(store.get('a'), undefined)
  assert.deepEqual(store.increment('a'), { totalHits: 1, resetTime: new Date(clock.now() + 1000) })
  clock.advance(400)
  assert.deepEqual(store.increment('a'), { totalHits: 2, resetTime: new Date(clock.now() + 600) })
  assert.equal(store.increment('b').totalHits, 1)
  store.decrement('a')
  assert.equal(store.get('a').totalHits, 1)
  clock.advance(600)
  assert.equal(store.increment('a').totalHits, 1)
  store.resetKey('a')
  assert.equal(store.get('a'), undefined)
  assert.throws(() => new TidegateStore({ prefx: 'a' }), /prefx: no such option; did you mean prefix/)
})

test('@nestjs/throttler: its guard with this storage', async (t) => {
  require('reflect-metadata')
  const { Controller, Get, Module } = require('@nestjs/common')
  const { APP_GUARD, NestFactory } = require('@nestjs/core')
  const { SkipThrottle, Throttle, ThrottlerGuard, ThrottlerModule } = require('@nestjs/throttler')

  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  class Cats {
    all() {
      return 'cats'
    }
    strict() {
      return 'strict'
    }
    free() {
      return 'free'
    }
  }
  decorate(Cats, [Controller('cats')])
  decorate(Cats, [Get()], 'all')
  decorate(Cats, [Throttle({ short: { limit: 1, ttl: 60_000, blockDuration: 120_000 } }), Get('strict')], 'strict')
  decorate(Cats, [SkipThrottle({ short: true, long: true }), Get('free')], 'free')
  class App {}
  const throttlers = [{ name: 'short', ttl: 1000, limit: 3 }, { name: 'long', ttl: 60_000, limit: 5 }]
  decorate(App, [
    Module({
      imports: [ThrottlerModule.forRoot({ throttlers, storage: new TidegateThrottlerStorage({ clock }) })],
      controllers: [Cats],
      providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
    }),
  ])
  const app = await NestFactory.create(App, { logger: false })
  await app.listen(0, '127.0.0.1')
  t.after(() => app.close())
  const get = (path) => fetch(`http://127.0.0.1:${app.getHttpServer().address().port}/cats${path}`)
  const statuses = async (path, times) => {
    const seen = []
    for (let i = 0; i < times; i++) seen.push((await get(path)).status)
    return seen
  }

  const first = await get('')
  assert.equal(first.headers.get('x-ratelimit-limit-short'), '3')
  assert.equal(first.headers.get('x-ratelimit-remaining-long'), '4')
  assert.equal(first.headers.get('x-ratelimit-reset-long'), '60')
  assert.deepEqual(await statuses('', 3), [200, 200, 429])
  assert.equal((await get('')).headers.get('retry-after-short'), '1')
  clock.advance(1000)
  assert.deepEqual(await statuses('', 3), [200, 200, 429])
  clock.advance(1000)
  assert.equal((await get('')).headers.get('retry-after-long'), '59')
  assert.deepEqual(await statuses('/free', 10), Array(10).fill(200))
  // A block of its own length, after which counting begins anew.
  assert.deepEqual(await statuses('/strict', 2), [200, 429])
  assert.equal((await get('/strict')).headers.get('retry-after-short'), '120')
  clock.advance(119_999)
  assert.deepEqual(await statuses('/strict', 1), [429])
  clock.advance(1)
  assert.deepEqual(await statuses('/strict', 2), [200, 429])
})

test('@nestjs/throttler: records as its own storage gives them', async () => {
  const { ThrottlerStorageService } = require('@nestjs/throttler')
  const theirs = new ThrottlerStorageService()
  const ours = new TidegateThrottlerStorage()
  try {
    for (const block of [0, 60_000]) {
      for (let i = 0; i < 4; i++) {
        const asked = [`key ${block}`, 60_000, 2, block, 'default']
        const [mine, other] = [await ours.increment(...asked), await theirs.increment(...asked)]
        assert.deepEqual([mine.totalHits, mine.isBlocked, mine.timeToBlockExpire], [other.totalHits, other.isBlocked, Math.max(other.timeToBlockExpire, 0)])
      }
    }
  } finally {
    theirs.onApplicationShutdown()
  }
})

// What TypeScript makes of decorators.
function decorate(target, decorators, method) {
  if (method === undefined) return decorators.forEach((decorator) => decorator(target))
  const descriptor = Object.getOwnPropertyDescriptor(target.prototype, method)
  decorators.reverse().forEach((decorator) => decorator(target.prototype, method, descriptor))
  Object.defineProperty(target.prototype, method, descriptor)
}
