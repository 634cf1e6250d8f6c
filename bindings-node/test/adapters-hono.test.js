'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Hono } = require('hono')
const { Limiter, ManualClock } = require('tidegate')
const { rateLimit } = require('tidegate/hono')
const { settled, suite, START } = require('./adapters/suite.js')

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

test('hono: without Node\'s server there is no address, and the error says what to give', async () => {
  for (const settled of [{}, { skipFailedRequests: true }]) {
    const app = new Hono()
    let said
    app.onError((error, c) => ((said = error), c.text('failed', 500)))
    app.use(rateLimit({ rate: '1/minute', ...settled })).get('/', (c) => c.text('hello'))
    assert.equal((await app.request('/')).status, 500)
    assert.match(String(said), /^TypeError: ip: the request has no address .*; give keyGenerator$/)
  }
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

// An app whose responses are read by this test, no server of Node; `time` and `permits` are those of key k.
function bare(answer, options = {}) {
  const clock = new ManualClock(START)
  const time = { name: 'time', method: 'latency', rate: '1h/day', algorithm: 'fixed_window' }
  const permits = { name: 'permits', method: 'concurrency', quota: 3 }
  const limiter = new Limiter({ limit: [time, permits] }, { clock })
  limiter.acquire('k')
  const app = new Hono()
  const limit = rateLimit({ limiter, keyGenerator: () => 'k', ...options })
  app.use(limit)
  app.get('/', (c) => answer(c, clock))
  // Milliseconds charged, and permits out besides the one above: given back twice, it would be -1.
  const state = () => {
    const [spent, out] = limiter.snapshot('k').buckets
    return [spent.used / 1e6, out.used - 1]
  }
  return { app, clock, limit, state }
}

const bytes = (text) => new TextEncoder().encode(text)

test('hono: without Node\'s server a stream is over when its body has ended', async () => {
  let body
  const source = () => new ReadableStream({ start: (controller) => { body = controller } })
  const { app, clock, state } = bare((c) => (c.header('set-cookie', 'a=1'), c.body(source(), 201, { 'x-own': '1' })))
  const response = await app.request('/')
  assert.deepEqual(state(), [0, 1])
  assert.deepEqual([response.status, response.headers.get('x-own'), response.headers.get('x-ratelimit-limit')], [201, '1', '3'])
  assert.deepEqual(response.headers.getSetCookie(), ['a=1'])
  const reader = response.body.getReader()
  for (const chunk of ['a', 'b', 'c']) {
    body.enqueue(bytes(chunk))
    assert.deepEqual(await reader.read(), { done: false, value: bytes(chunk) })
    clock.advance(10)
    assert.deepEqual(state(), [0, 1])
  }
  body.close()
  assert.equal((await reader.read()).done, true)
  assert.deepEqual(state(), [30, 0])
  clock.advance(10)
  await reader.cancel()
  assert.deepEqual(state(), [30, 0])
})

test('hono: without Node\'s server a body that is cancelled, or breaks, is over', async () => {
  let body, cancelled
  const source = () =>
    new ReadableStream({ start: (controller) => { body = controller }, cancel: (reason) => { cancelled = reason } })
  const { app, clock, state } = bare((c) => c.body(source()))
  const reading = (await app.request('/')).body.getReader()
  const pending = reading.read()
  clock.advance(5)
  await reading.cancel('gone')
  assert.deepEqual([await pending, cancelled, ...state()], [{ done: true, value: undefined }, 'gone', 5, 0])

  const unread = await app.request('/')
  clock.advance(5)
  await unread.body.cancel('unread')
  assert.deepEqual([cancelled, ...state()], ['unread', 10, 0])

  const broken = await app.request('/')
  body.enqueue(bytes('a'))
  clock.advance(5)
  body.error(new Error('broken'))
  await assert.rejects(broken.text(), { message: 'broken' })
  assert.deepEqual(state(), [15, 0])

  // As is one that is broken from the start, or after its first chunk.
  const early = bare((c) => c.body(new ReadableStream({ start: (controller) => controller.error(new Error('early')) })))
  await assert.rejects((await early.app.request('/')).text(), { message: 'early' })
  assert.deepEqual(early.state(), [0, 0])
  const chunks = [bytes('a')]
  const pull = (controller) => (chunks.length > 0 ? controller.enqueue(chunks.pop()) : controller.error(new Error('late')))
  const late = bare((c) => c.body(new ReadableStream({ pull })))
  await assert.rejects((await late.app.request('/')).text(), { message: 'late' })
  assert.deepEqual(late.state(), [0, 0])
})

test('hono: without Node\'s server a stream is read no faster than its reader', async () => {
  let pulled = 0
  const pull = (controller) => controller.enqueue(bytes(String(pulled++)))
  const { app, state } = bare((c) => c.body(new ReadableStream({ pull }, { highWaterMark: 0 })))
  const reader = (await app.request('/')).body.getReader()
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  assert.equal(pulled, 2)
  for (let number = 0; number < 5; number++) assert.deepEqual((await reader.read()).value, bytes(String(number)))
  assert.equal(pulled, 5)
  await reader.cancel()
  assert.deepEqual(state(), [0, 0])
})

test('hono: without Node\'s server what is complete is over with its handler, and stays what it was', async () => {
  const told = async (app) => {
    const response = await app.request('/')
    const { status, headers } = response
    return [status, headers.get('content-type'), headers.get('x-own'), await response.text()]
  }
  for (const [what, answer] of [
    ['a text', (c) => c.text('ok')],
    ['json', (c) => c.json({ a: 1 }, 201)],
    ['bytes', (c) => c.body(bytes('ok'))],
    ['an empty text', (c) => c.body('')],
    ['nothing', (c) => c.body(null, 204)],
    ['one of its own', () => new Response('own', { status: 203, headers: { 'x-own': '1' } })],
  ]) {
    const { app, state } = bare((c, clock) => (clock.advance(20), answer(c)))
    const other = new Hono()
    other.use(rateLimit({ rate: '9/minute', keyGenerator: () => 'k' }))
    other.get('/', answer)
    const response = app.request('/')
    await response
    assert.deepEqual(state(), [20, 0], what)
    assert.deepEqual(await told({ request: () => response }), await told(other), what)
  }
  // Nobody reads the body of an answer to HEAD.
  const { app, state } = bare((c, clock) => (clock.advance(20), c.body(new ReadableStream())))
  assert.equal((await app.request('/', { method: 'HEAD' })).body, null)
  assert.deepEqual(state(), [20, 0])
  // An error that is no `Error` passes through Hono.
  const thrown = bare((c, clock) => { clock.advance(20); throw 'text' })
  await assert.rejects(async () => thrown.app.request('/'), (error) => error === 'text')
  assert.deepEqual(thrown.state(), [20, 0])
})

test('hono: without Node\'s server what a stream cost is asked when it has ended', async () => {
  let body
  const asked = []
  const source = () => new ReadableStream({ start: (controller) => { body = controller } })
  const { app, state } = bare((c) => c.body(source()), { actualCost: (c) => void asked.push(c.res.status) })
  const response = await app.request('/')
  assert.deepEqual([asked, ...state()], [[], 0, 1])
  body.close()
  await response.text()
  assert.deepEqual([asked, ...state()], [[200], 0, 0])
})

test('hono: without Node\'s server a stream that is dropped gives its permit back, too', async () => {
  const { app, state, limit } = bare((c) => c.body(new ReadableStream()))
  await app.request('/')
  assert.deepEqual(state(), [0, 1])
  await settled(() => (globalThis.gc(), state()[1] === 0))
  assert.equal(limit.failures, 0)
})
