'use strict'

// Real servers on this machine that enforce real limits with the engine, on a clock that both sides share and the test
// moves while nothing is under way.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const http = require('node:http')
const { Readable } = require('node:stream')
const axios = require('axios')
const axiosRetry = require('axios-retry').default
const undici = require('undici')
const { Limiter, ManualClock, Pacer, RetriesExhaustedError } = require('tidegate')
const { pace: paceAxios } = require('tidegate/axios')
const { pace: paceUndici } = require('tidegate/undici')

const START = Date.UTC(2026, 0, 1)
const seconds = (ms) => String(Math.ceil(ms / 1000))

// How servers say the same thing: `d` is the decision, `now` the time in ms.
const DIALECTS = {
  'seconds': (d) => ({ 'Retry-After': seconds(d.retryAfterMs) }),
  'a float': (d) => ({ 'Retry-After': String(d.retryAfterMs / 1000) }),
  'a date': (d, now) => ({ 'Retry-After': new Date(Math.ceil((now + d.retryAfterMs) / 1000) * 1000).toUTCString() }),
  'milliseconds': (d) => ({ 'retry-after-ms': String(Math.ceil(d.retryAfterMs)) }),
  'an epoch': (d, now) => ({
    'X-RateLimit-Limit': String(d.limit),
    'X-RateLimit-Remaining': String(d.remaining),
    'X-RateLimit-Reset': seconds(now + d.retryAfterMs),
  }),
  'seconds to a reset': (d) => ({
    'X-RateLimit-Limit': String(d.limit),
    'X-RateLimit-Remaining': String(d.remaining),
    'X-RateLimit-Reset': seconds(d.retryAfterMs),
  }),
  'a span in words': (d) => ({
    'x-ratelimit-limit-requests': String(d.limit),
    'x-ratelimit-remaining-requests': String(d.remaining),
    'x-ratelimit-reset-requests': `${Math.ceil(d.retryAfterMs)}ms`,
  }),
  'legacy': (d) => d.headers('legacy'),
  'draft': (d) => d.headers('draft'),
  'both': (d) => d.headers('both'),
  'nothing': () => ({}),
}

class Server {
  constructor(policy, dialect) {
    this.clock = new ManualClock(START)
    this.limiter = new Limiter(policy, { clock: this.clock })
    this.requests = []
    this.sockets = new Set()
    this.http = http.createServer((request, response) => this.answer(request, response, DIALECTS[dialect]))
    this.http.on('connection', (socket) => this.sockets.add(socket))
  }

  async answer(request, response, dialect) {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const decision = this.limiter.acquire('client')
    const now = this.clock.now()
    const body = Buffer.concat(chunks).toString()
    this.requests.push({ status: decision.status, method: request.method, url: request.url, body })
    response.setHeader('Date', new Date(now).toUTCString())
    for (const [name, value] of Object.entries(dialect(decision, now))) response.setHeader(name, value)
    response.statusCode = decision.status
    response.end(decision.allowed ? `${request.method} ${body}` : 'x'.repeat(40_000))
  }

  async listen() {
    await new Promise((resolve) => this.http.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.http.address().port}/`
    return this
  }

  async close() {
    this.http.closeAllConnections()
    await new Promise((resolve) => this.http.close(resolve))
  }

  refusals() {
    return this.requests.filter(({ status }) => status === 429).length
  }
}

async function serving(t, policy, dialect = 'seconds') {
  const server = await new Server(policy, dialect).listen()
  t.after(() => server.close())
  return server
}

// Moves the clock while everybody waits, until the promise is settled.
async function until(clock, pacer, promise, stepMs = 250) {
  let settled = false
  const mark = () => {
    settled = true
  }
  promise.then(mark, mark)
  for (let steps = 0; !settled; ) {
    await new Promise(setImmediate)
    const { inFlight, waiting } = pacer.stats()
    if (inFlight > 0 || waiting === 0) continue
    assert.ok(++steps < 10_000, 'never settled')
    clock.advance(stepMs)
  }
  return promise
}

const CLIENTS = {
  fetch: (pacer) => {
    const fetch = pacer.wrap(globalThis.fetch)
    return async (url, body) => (await fetch(url, { method: body ? 'POST' : 'GET', body })).text()
  },
  undici: (pacer) => {
    const agent = new undici.Agent().compose(paceUndici(pacer))
    return async (url, body) => {
      const response = await undici.request(url, { dispatcher: agent, method: body ? 'POST' : 'GET', body })
      return response.body.text()
    }
  },
  axios: (pacer) => {
    const instance = paceAxios(axios.create(), pacer)
    return async (url, body) => (await instance.request({ url, method: body ? 'POST' : 'GET', data: body })).data
  },
  http: (pacer) => (url, body) =>
    pacer
      .run(
        () =>
          new Promise((resolve, reject) => {
            http.request(url, { method: body ? 'POST' : 'GET' }, resolve).on('error', reject).end(body)
          }),
      )
      .then(async (response) => Buffer.concat(await response.toArray()).toString()),
}

for (const [name, client] of Object.entries(CLIENTS)) {
  const dialects = name === 'fetch' ? Object.keys(DIALECTS) : ['seconds', 'an epoch', 'both']
  for (const dialect of dialects) {
    test(`${name}: ten calls get through a server that says ${dialect}`, async (t) => {
      const server = await serving(t, '5/second burst 2', dialect)
      const { clock } = server
      // It has to learn the limit: the server is all that knows it.
      const pacer = new Pacer(undefined, { clock, concurrency: 4, baseMs: 100, maxRetries: 50, maxFailures: 0, seed: 1 })
      const call = client(pacer)
      const calls = Array.from({ length: 10 }, (_, n) => call(server.url, n % 2 ? `body ${n}` : undefined))
      const texts = await until(clock, pacer, Promise.all(calls), 50)
      assert.deepEqual(texts, texts.map((_, n) => (n % 2 ? `POST body ${n}` : 'GET ')))
      assert.equal(pacer.stats().retries, server.refusals())
      assert.equal(server.requests.length - server.refusals(), 10)
      assert.deepEqual([pacer.stats().inFlight, pacer.stats().waiting], [0, 0])
    })
  }

  test(`${name}: who knows the limit is never refused`, async (t) => {
    const server = await serving(t, '10/second burst 5')
    const pacer = new Pacer('10/second burst 5', { clock: server.clock, concurrency: 4, headroom: 0 })
    const call = client(pacer)
    const calls = Array.from({ length: 40 }, () => call(server.url))
    await until(server.clock, pacer, Promise.all(calls), 50)
    assert.equal(server.refusals(), 0)
    assert.ok(server.clock.now() - START <= 3500 + 50, String(server.clock.now() - START))
  })

  test(`${name}: a refused answer leaves its connection free`, async (t) => {
    const server = await serving(t, '1/second')
    const pacer = new Pacer(undefined, { clock: server.clock, concurrency: 1, baseMs: 0 })
    const call = client(pacer)
    for (let n = 0; n < 5; n++) await until(server.clock, pacer, call(server.url))
    assert.ok(server.refusals() >= 4)
    if (name !== 'http' || Number(process.versions.node.split('.')[0]) >= 20) {
      assert.ok(server.sockets.size <= 2, `${server.sockets.size} connections`)
    }
  })
}

test('fetch: a stream is not sent twice, and the error says so', async (t) => {
  const server = await serving(t, '1/hour')
  const pacer = new Pacer(undefined, { clock: server.clock, maxRetryAfterMs: 1e9, maxFailures: 0 })
  const fetch = pacer.wrap(globalThis.fetch)
  await fetch(server.url)
  const body = () => new Blob(['streamed']).stream()
  const streams = [body(), Readable.from(['streamed']), (async function* () { yield 'streamed' })()]
  for (const stream of streams) {
    const call = fetch(server.url, { method: 'POST', body: stream, duplex: 'half' })
    await assert.rejects(until(server.clock, pacer, call, 60_000), (error) => {
      assert.ok(error instanceof RetriesExhaustedError)
      assert.equal(error.attempts, 1)
      assert.match(error.message, /its body is a stream and cannot be sent twice$/)
      assert.equal(error.cause.status, 429)
      return true
    })
    server.limiter.reset('client')
    server.limiter.acquire('client')
    pacer.reset()
  }
  assert.equal(server.refusals(), 3)
})

test('fetch: a Request is sent again, its streamed body too', async (t) => {
  const server = await serving(t, '1/second')
  const pacer = new Pacer(undefined, { clock: server.clock, baseMs: 0 })
  const fetch = pacer.wrap(globalThis.fetch)
  await fetch(server.url)
  const body = new Blob(['streamed']).stream()
  const request = new Request(server.url, { method: 'POST', body, duplex: 'half' })
  const response = await until(server.clock, pacer, fetch(request))
  assert.equal(await response.text(), 'POST streamed')
  assert.deepEqual(server.requests.map(({ status, body }) => [status, body]), [
    [200, ''],
    [429, 'streamed'],
    [200, 'streamed'],
  ])
  const form = new FormData()
  form.set('a', 'b')
  const again = await until(server.clock, pacer, fetch(server.url, { method: 'POST', body: form }))
  assert.match(await again.text(), /name="a"\s+b/)
})

test('fetch: the signal of the call ends its waiting', async (t) => {
  const server = await serving(t, '1/hour')
  const pacer = new Pacer('1/hour', { clock: server.clock, headroom: 0 })
  const fetch = pacer.wrap(globalThis.fetch)
  await fetch(server.url)
  for (const call of [(signal) => fetch(server.url, { signal }), (signal) => fetch(new Request(server.url, { signal }))]) {
    const controller = new AbortController()
    const waiting = call(controller.signal)
    await new Promise(setImmediate)
    controller.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
  }
  assert.deepEqual([pacer.stats().waiting, server.requests.length], [0, 1])
})

test('axios: errors, options, cancelling and interceptors stay those of axios', async (t) => {
  const server = await serving(t, '2/second', 'seconds')
  const pacer = new Pacer(undefined, { clock: server.clock, baseMs: 0 })
  const instance = paceAxios(axios.create({ baseURL: server.url }), pacer, { label: 'axios' })
  let intercepted = 0
  instance.interceptors.request.use((config) => (intercepted++, config))
  for (let n = 0; n < 4; n++) await until(server.clock, pacer, instance.get('/a'))
  assert.equal(intercepted, 4)
  assert.ok(server.refusals() >= 1)
  server.limiter.block('client', 10_000)
  const refused = until(server.clock, pacer, instance.get('/b', { pacer: { maxRetries: 0, label: 'b' } }))
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof RetriesExhaustedError)
    assert.equal(error.label, 'b')
    assert.ok(axios.isAxiosError(error.cause))
    assert.equal(error.cause.response.status, 429)
    return true
  })
  const controller = new AbortController()
  const waiting = instance.get('/c', { signal: controller.signal })
  await new Promise(setImmediate)
  controller.abort()
  await assert.rejects(waiting, (error) => axios.isCancel(error))
  const lost = paceAxios(axios.create({ baseURL: 'http://127.0.0.1:1' }), new Pacer())
  await assert.rejects(lost.get('/'), { code: 'ECONNREFUSED', name: /Error/ })
  assert.throws(() => paceAxios(lost, pacer), /goes through a pacer already/)
  assert.throws(() => paceAxios({}, pacer), { name: 'TypeError', message: /^instance: / })
  assert.throws(() => paceAxios(axios.create(), {}), { name: 'TypeError', message: /^pacer: must be a Pacer/ })
  const body = { data: Readable.from(['once']), headers: { 'content-type': 'text/plain' } }
  // The wait is over; the server is not done with us.
  pacer.reset()
  server.limiter.block('client', 10_000)
  const streamed = instance.post('/d', body.data, { headers: body.headers, maxRedirects: 0 })
  await assert.rejects(until(server.clock, pacer, streamed), /cannot be sent twice/)
})

test('undici: errors, aborting, streams and one-shot bodies', async (t) => {
  const server = await serving(t, '1/second', 'seconds')
  const pacer = new Pacer(undefined, { clock: server.clock, baseMs: 0 })
  const dispatcher = new undici.Agent().compose(paceUndici(pacer, { label: 'undici' }))
  const request = (options) => undici.request(server.url, { dispatcher, ...options })
  await (await request()).body.dump()
  const once = { method: 'POST', body: Readable.from(['once']) }
  await assert.rejects(until(server.clock, pacer, request(once)), (error) => {
    assert.ok(error instanceof RetriesExhaustedError)
    assert.match(error.message, /^undici: .*cannot be sent twice$/)
    return true
  })
  const controller = new AbortController()
  const waiting = request({ signal: controller.signal })
  await new Promise(setImmediate)
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, { message: 'enough' })
  assert.equal(pacer.stats().waiting, 0)
  const lost = undici.request('http://127.0.0.1:1', { dispatcher })
  await assert.rejects(until(server.clock, pacer, lost), { code: 'ECONNREFUSED' })
  const viaFetch = until(server.clock, pacer, undici.fetch(server.url, { dispatcher }))
  assert.equal(await (await viaFetch).text(), 'GET ')
  let text = ''
  const into = new (require('node:stream').Writable)({
    write(chunk, _, done) {
      text += chunk
      done()
    },
  })
  await until(server.clock, pacer, undici.stream(server.url, { dispatcher }, () => into))
  assert.equal(text, 'GET ')
  assert.throws(() => paceUndici({}), { name: 'TypeError', message: /^pacer: must be a Pacer/ })
})

test('clients that try again by themselves are warned of, once', async (t) => {
  const warnings = []
  const listener = (warning) => warnings.push(warning)
  process.on('warning', listener)
  t.after(() => process.removeListener('warning', listener))
  const server = await serving(t, '100/second')
  const pacer = new Pacer(undefined, { clock: server.clock })
  const got = Object.assign(() => {}, { defaults: { options: { retry: { limit: 2 } } } })
  pacer.wrap(got)
  pacer.wrap(got)
  pacer.wrap(Object.assign(() => {}, { defaults: { options: { retry: { limit: 0 } } } }))
  const fetch = pacer.wrap(undici.fetch)
  const dispatcher = new undici.RetryAgent(new undici.Agent())
  await fetch(server.url, { dispatcher })
  await fetch(server.url, { headers: { 'x-stainless-retry-count': '0' } })
  await fetch(server.url, { headers: new Headers({ 'x-stainless-retry-count': '1' }) })
  const instance = axios.create()
  axiosRetry(instance, { retries: 2 })
  paceAxios(instance, pacer)
  await instance.get(server.url)
  await instance.get(server.url)
  await new Promise(setImmediate)
  const told = warnings.filter(({ code }) => code === 'TIDEGATE_RETRIES_TWICE').map(({ message }) => message)
  assert.deepEqual(told.map((message) => /^tidegate: (.*) tries again/.exec(message)[1]), [
    'got',
    "undici's RetryAgent",
    'a client of OpenAI, Anthropic or their like',
    'axios-retry',
  ])
})
