'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const Fastify = require('fastify')
const { Limiter } = require('tidegate')
const { ENTER } = require('../lib/limiter.js')
const plugin = require('tidegate/fastify')
const { suite } = require('./adapters/suite.js')

suite('fastify')

const ok = async (request) => request.rateLimit

// The statuses of so many requests, without a network.
async function asked(fastify, url, times, headers) {
  const statuses = []
  for (let i = 0; i < times; i++) statuses.push((await fastify.inject({ url, headers })).statusCode)
  return statuses
}

test('fastify: max and timeWindow; routes with limits of their own, and without', async () => {
  const fastify = Fastify()
  await fastify.register(plugin, { max: 3, timeWindow: '1 minute' })
  fastify.get('/', ok)
  fastify.get('/two', { config: { rateLimit: { max: 2 } } }, ok)
  fastify.get('/rate', { config: { rateLimit: { rate: '1/minute' } } }, ok)
  fastify.get('/free', { config: { rateLimit: false } }, ok)
  assert.deepEqual(await asked(fastify, '/', 4), [200, 200, 200, 429])
  assert.deepEqual(await asked(fastify, '/two', 3), [200, 200, 429])
  assert.deepEqual(await asked(fastify, '/rate', 2), [200, 429])
  assert.deepEqual(await asked(fastify, '/free', 5), [200, 200, 200, 200, 200])
  // Nobody's path costs, too.
  assert.deepEqual(await asked(fastify, '/nobody', 1), [429])
  const [window] = [await fastify.inject({ url: '/', headers: {} })]
  assert.equal(window.headers['x-ratelimit-limit'], '3')
})

test('fastify: global: false, hook, allowList, errorResponseBuilder, onExceeded, enableDraftSpec', async () => {
  const fastify = Fastify()
  const told = []
  await fastify.register(plugin, {
    global: false,
    max: 1,
    hook: 'preHandler',
    enableDraftSpec: true,
    keyGenerator: (request) => request.headers['x-key'],
    allowList: ['friend'],
    onExceeded: (request, decision) => told.push(decision.name),
    errorResponseBuilder: (request, { statusCode, max, after }) => Object.assign(new Error(`${max}, ${after}`), { statusCode }),
  })
  fastify.get('/', ok)
  fastify.get('/limited', { config: { rateLimit: {} } }, ok)
  assert.deepEqual(await asked(fastify, '/', 3), [200, 200, 200])
  assert.deepEqual(await asked(fastify, '/limited', 2, { 'x-key': 'friend' }), [200, 200])
  assert.deepEqual(await asked(fastify, '/limited', 2, { 'x-key': 'a' }), [200, 429])
  const denied = await fastify.inject({ url: '/limited', headers: { 'x-key': 'a' } })
  assert.equal(denied.json().message, '1, 60 seconds')
  assert.ok(denied.headers.ratelimit.startsWith('"requests";r=0;t='))
  assert.equal(denied.headers['x-ratelimit-limit'], undefined)
  assert.deepEqual(told, ['requests', 'requests'])
})

test('fastify: allowList is of the keys that count at the route, whoever gives them', async () => {
  const fastify = Fastify()
  const keyGenerator = (request) => request.headers['x-key']
  await fastify.register(plugin, { max: 1, keyGenerator, allowList: ['boss'] })
  fastify.get('/', async () => 'ok')
  fastify.get('/own', { config: { rateLimit: { allowList: ['guest'] } } }, async () => 'ok')
  fastify.get('/by', { config: { rateLimit: { keyGenerator: (request) => request.headers['x-other'] } } }, async () => 'ok')
  fastify.get('/skip', { config: { rateLimit: { skip: (request) => keyGenerator(request) === 'clerk' } } }, async () => 'ok')
  const isFree = async (url, headers) => {
    const codes = []
    for (let i = 0; i < 2; i++) codes.push((await fastify.inject({ url, headers })).statusCode)
    return codes[1] === 200
  }
  assert.equal(await isFree('/', { 'x-key': 'boss' }), true)
  assert.equal(await isFree('/', { 'x-key': 'guest' }), false)
  assert.equal(await isFree('/own', { 'x-key': 'guest' }), true)
  assert.equal(await isFree('/own', { 'x-key': 'boss' }), false)
  assert.equal(await isFree('/by', { 'x-other': 'boss', 'x-key': 'a' }), true)
  assert.equal(await isFree('/by', { 'x-other': 'a', 'x-key': 'boss' }), false)
  assert.equal(await isFree('/skip', { 'x-key': 'clerk' }), true)
  assert.equal(await isFree('/skip', { 'x-key': 'boss' }), false)
})

test('fastify: allowList is of the addresses that trustProxy finds', async () => {
  const fastify = Fastify()
  await fastify.register(plugin, { max: 1, trustProxy: 1, allowList: ['203.0.113.9'] })
  fastify.get('/', async () => 'ok')
  const codes = []
  for (const said of ['203.0.113.9', '6.6.6.6, 203.0.113.9', '203.0.113.9, 6.6.6.6', '203.0.113.9, 6.6.6.6']) {
    codes.push((await fastify.inject({ url: '/', headers: { 'x-forwarded-for': said } })).statusCode)
  }
  assert.deepEqual(codes, [200, 200, 200, 429])
})

test('fastify: skipOnError, and one object of options is one limit', async () => {
  class Broken extends Limiter {
    [ENTER]() {
      throw new Error('the store is gone')
    }
  }
  const fastify = Fastify()
  const limiter = new Broken('1/minute')
  await fastify.register(plugin, { limiter, keyGenerator: () => 'k', skipOnError: true })
  fastify.get('/', ok)
  const shared = { rate: '2/minute' }
  fastify.get('/a', { config: { rateLimit: shared } }, ok)
  fastify.get('/b', { config: { rateLimit: shared } }, ok)
  assert.deepEqual(await asked(fastify, '/', 2), [200, 200])
  assert.equal(fastify.rateLimitFailures(), 2)
  assert.deepEqual([...(await asked(fastify, '/a', 1)), ...(await asked(fastify, '/b', 2))], [200, 200, 429])
})

test('fastify: what is wrong is said when the server is made', async () => {
  const refused = (options, words) => assert.rejects(async () => Fastify().register(plugin, options), words)
  await refused({}, /give one of `limiter`, `rate`/)
  await refused({ max: 1, timeWindo: 1 }, /^TypeError: timeWindo: no such option; did you mean timeWindow\?/)
  await refused({ mx: 1 }, /^TypeError: mx: no such option; did you mean max\? .*timeWindow.*allowList/)
  await refused({ max: () => 1 }, /^TypeError: max: must be a number \(limits that differ by request are plans of a policy\)/)
  await refused({ max: '5' }, /^TypeError: max: must be a number .*, not a string$/)
  await refused({ max: 1, timeWindow: {} }, /^TypeError: timeWindow: must be milliseconds, or a text such as '1 minute', not an object/)
  await refused({ max: 1, limit: 2 }, /max, limit: give one of them/)
  await refused({ max: 1, timeWindow: '1 fortnight' }, /fortnight/)
  await refused({ max: 1, hook: 'onSend' }, /hook: must be one of/)
  const fastify = Fastify()
  await fastify.register(plugin, { max: 1 })
  assert.throws(() => fastify.get('/', { config: { rateLimit: { maxx: 1 } } }, ok), /maxx: no such option/)
  assert.throws(() => fastify.get('/', { config: { rateLimit: true } }, ok), /config.rateLimit: must be an object/)
})

test('fastify: routes from before the plugin was loaded are limited, too', async () => {
  const fastify = Fastify()
  fastify.get('/first', { config: { rateLimit: { max: 2 } } }, ok)
  void fastify.register(plugin, { max: 3, timeWindow: '1 minute' })
  fastify.get('/', ok)
  fastify.get('/one', { config: { rateLimit: { max: 1 } } }, ok)
  fastify.get('/free', { config: { rateLimit: false } }, ok)
  fastify.get('/wrong', { config: { rateLimit: { maxx: 1 } } }, ok)
  void fastify.register(async (inner) => {
    inner.get('/late', { config: { rateLimit: { max: 1 }, own: 7 } }, async (request) => request.routeOptions.config)
  })
  assert.deepEqual(await asked(fastify, '/first', 3), [200, 200, 429])
  assert.deepEqual(await asked(fastify, '/one', 2), [200, 429])
  assert.deepEqual(await asked(fastify, '/free', 5), [200, 200, 200, 200, 200])
  // Once each, after routes with limits of their own: a path that nobody serves, one of its own, a HEAD.
  assert.deepEqual(await asked(fastify, '/nobody', 1), [404])
  assert.deepEqual(await asked(fastify, '/', 1), [200])
  assert.equal((await fastify.inject({ url: '/', method: 'HEAD' })).statusCode, 200)
  assert.deepEqual(await asked(fastify, '/', 1), [429])
  const wrong = await fastify.inject({ url: '/wrong' })
  assert.deepEqual([wrong.statusCode, /^maxx: no such option/.test(wrong.json().message)], [500, true])
  const [known, denied] = [await fastify.inject({ url: '/late' }), await fastify.inject({ url: '/late' })]
  assert.deepEqual(known.json(), { rateLimit: { max: 1 }, own: 7, url: '/late', method: 'GET' })
  assert.equal(denied.statusCode, 429)
})

test('fastify: nobody is asked twice, where the plugin was loaded late', async () => {
  const fastify = Fastify()
  const asking = []
  void fastify.register(plugin, { max: 9, skip: (request) => asking.push(request.url) > 0 })
  fastify.get('/early', ok)
  void fastify.register(async (inner) => inner.get('/late', ok))
  for (const url of ['/early', '/late', '/nobody']) await fastify.inject(url)
  assert.deepEqual(asking, ['/early', '/late', '/nobody'])
})

test('fastify: global: false, and routes from before', async () => {
  const fastify = Fastify()
  void fastify.register(plugin, { global: false, max: 1 })
  fastify.get('/', ok)
  fastify.get('/one', { config: { rateLimit: {} } }, ok)
  assert.deepEqual(await asked(fastify, '/', 3), [200, 200, 200])
  assert.deepEqual(await asked(fastify, '/one', 2), [200, 429])
  assert.deepEqual(await asked(fastify, '/nobody', 2), [404, 404])
})

test('fastify: registered once a server; plugins beside each other have their own', async () => {
  const words = /tidegate\/fastify: is registered already, here or around this plugin; give routes .*config\.rateLimit/
  const twice = Fastify()
  await twice.register(plugin, { max: 1 })
  await assert.rejects(async () => twice.register(plugin, { max: 1 }), words)
  const nested = Fastify()
  await nested.register(plugin, { max: 1 })
  await assert.rejects(async () => nested.register(async (inner) => inner.register(plugin, { max: 1 })), words)
  const beside = Fastify()
  for (const [prefix, max] of [['/a', 1], ['/b', 2]]) {
    await beside.register(async (inner) => {
      await inner.register(plugin, { max })
      inner.get('/', ok)
    }, { prefix })
  }
  assert.deepEqual(await asked(beside, '/a', 3), [200, 429, 429])
  assert.deepEqual(await asked(beside, '/b', 3), [200, 200, 429])
})

test('fastify: a path that is no URL reaches no hook, but frameworkErrors', async () => {
  const limiter = new Limiter({ limit: [{ rate: '1/minute', by: ['ip'] }] })
  const frameworkErrors = (error, request, reply) => {
    const decision = limiter.acquire({ ip: request.ip })
    return reply.headers(decision.headers()).code(decision.allowed ? error.statusCode : decision.status).send(decision.allowed ? error.message : decision.body())
  }
  const [plain, own] = [Fastify(), Fastify({ frameworkErrors })]
  for (const fastify of [plain, own]) {
    await fastify.register(plugin, { limiter })
    fastify.get('/:name', ok)
  }
  assert.deepEqual(await asked(plain, '/%zz', 3), [400, 400, 400])
  assert.deepEqual(await asked(own, '/%zz', 2), [400, 429])
  assert.deepEqual(await asked(own, '/a', 1), [429])
})

test('fastify: a header field of the handlers\' own stays where the limit tells another', async () => {
  const fastify = Fastify()
  fastify.addHook('onRequest', async (request, reply) => void reply.header('x-ratelimit-limit', 'own'))
  await fastify.register(plugin, { rate: '7/minute', standardHeaders: true, legacyHeaders: false })
  fastify.get('/', ok)
  for (let i = 0; i < 2; i++) assert.equal((await fastify.inject('/')).headers['x-ratelimit-limit'], 'own')
})

test('fastify: header fields are those of the reply, wherever a Fastify keeps them', async (t) => {
  const symbols = t.mock.method(Object, 'getOwnPropertySymbols')
  const told = async () => {
    const fastify = Fastify()
    // One that was set before is replaced, as by `reply.header`; others stay.
    fastify.addHook('onRequest', async (request, reply) => void reply.headers({ 'X-RateLimit-Limit': 'before', 'X-Other': 'o' }))
    await fastify.register(plugin, { rate: '7/minute', standardHeaders: true })
    fastify.get('/', async (request, reply) => reply.getHeaders())
    const first = await fastify.inject('/')
    const second = await fastify.inject('/')
    const [seen, sent] = [second.json(), second.headers]
    for (const name in seen) assert.equal(sent[name], seen[name], name)
    return [first.headers['x-ratelimit-limit'], seen]
  }
  const [limit, known] = await told()
  assert.equal(limit, '7')
  assert.deepEqual([known['x-ratelimit-limit'], known['x-ratelimit-remaining'], known['x-other']], ['7', '5', 'o'])
  assert.deepEqual(Object.keys(known).filter((name) => /ratelimit/.test(name)).length, 5)
  assert.ok(symbols.mock.callCount() > 0)
  const same = ([limit, { 'x-ratelimit-reset': reset, ...fields }]) => [limit, Math.abs(reset - known['x-ratelimit-reset']) < 60, fields]
  const expected = same([limit, known])
  for (const found of [[], [Symbol('fastify.reply.headers')]]) {
    symbols.mock.mockImplementation(() => found)
    assert.deepEqual(same(await told()), expected)
  }
})
