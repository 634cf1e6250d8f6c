'use strict'

// What every adapter must do, asked of real servers by real clients.

const assert = require('node:assert/strict')
const net = require('node:net')
const { once } = require('node:events')
const { test } = require('node:test')

const { Limiter, ManualClock } = require('tidegate')
const { ENTER } = require('../../lib/limiter.js')
const servers = require('./servers.js')
const { load } = require('./clients.js')

const identify = (request) => ({ key: keyOf(request) })

// The handlers of each framework get its own kind of request.
function keyOf(given) {
  const request = given.req ?? given
  return request.raw?.headers?.['x-key'] ?? request.headers?.['x-key'] ?? request.header('x-key')
}

const START = Date.UTC(2026, 0, 1)

function suite(name, { more } = {}) {
  const serve = servers[name]
  const titled = (title, body) => test(`${name}: ${title}`, body)

  // A limiter on a manual clock, and a server whose handlers move it.
  async function started(t, policy, options = {}, settings) {
    const clock = new ManualClock(START)
    const limiter = new Limiter(policy, { clock })
    const work = { tick: (ms) => clock.advance(ms), arrived() {} }
    const service = await serve({ limiter, identify, ...options }, work, { settings })
    t.after(() => service.close())
    const get = (path, { key = 'k', ...init } = {}) =>
      fetch(service.origin + path, { ...init, headers: { 'x-key': key, ...init.headers } })
    return { ...service, limiter, clock, get }
  }

  // A window, for nothing flows back while it lasts.
  const time = { name: 'time', method: 'latency', rate: '1h/day', algorithm: 'fixed_window', align: 'first_request' }
  const count = { name: 'requests', rate: '2/minute', algorithm: 'fixed_window' }
  const permits = { name: 'permits', method: 'concurrency', quota: 1 }
  const used = (limiter, limit, key = 'k') =>
    limiter.snapshot(key).buckets.find((bucket) => bucket.limit === limit).used

  titled('2,000 requests of 50 clients: exact counts, right answers, time within 2 %', async (t) => {
    const KEYS = Array.from({ length: 10 }, (_, number) => `key ${number}`)
    const QUOTA = 120
    const limiter = new Limiter({
      limit: [
        { name: 'requests', quota: QUOTA, period: '1d', algorithm: 'fixed_window', align: 'first_request' },
        time,
        { name: 'permits', method: 'concurrency', quota: 50 },
      ],
    })
    const arrivals = new Map()
    const arrived = (key) => arrivals.set(key, (arrivals.get(key) ?? 0) + 1)
    const service = await serve({ limiter, identify, standardHeaders: true }, { tick() {}, arrived })
    t.after(() => service.close())
    const stopped = stopwatch(service.server)
    const { origin } = service
    const answers = await load({ origin, clients: 50, requests: 2000, keys: KEYS, path: '/work?ms=50' })
    let measured = 0
    for (const key of KEYS) {
      const own = answers.filter((answer) => answer.key === key)
      const admitted = own.filter(({ status }) => status === 200)
      assert.equal(own.length, 200)
      assert.equal(admitted.length, QUOTA)
      assert.equal(arrivals.get(key), QUOTA)
      for (const answer of own) checkAnswer(answer, QUOTA)
      assert.equal(used(limiter, 'permits', key), 0)
      measured += admitted.reduce((sum, { ms }) => sum + ms, 0)
    }
    assert.equal(limiter.stats().allowed, KEYS.length * QUOTA)
    const recorded = KEYS.reduce((sum, key) => sum + used(limiter, 'time', key), 0) / 1e6
    t.diagnostic(`recorded ${recorded.toFixed(0)} ms, measured ${measured.toFixed(0)} ms, by the server ${stopped.ms.toFixed(0)} ms`)
    assert.ok(recorded >= KEYS.length * QUOTA * 49)
    const apart = (sum) => Math.abs(sum - recorded) / sum
    assert.ok(apart(stopped.ms) <= 0.02, 'as the server itself has measured')
    // On a machine that is busy with something else clients wait for their turn, which is not the adapter's.
    if ((measured - stopped.ms) / measured <= 0.01) assert.ok(apart(measured) <= 0.02, 'as the clients have measured')
  })

  titled('500 clients that go away leave no permit taken and no time unrecorded', async (t) => {
    const limiter = new Limiter({
      limit: [
        { name: 'permits', method: 'concurrency', quota: 1 },
        time,
      ],
    })
    const came = new Set()
    const service = await serve({ limiter, identify }, { tick() {}, arrived: (key) => came.add(key) })
    t.after(() => service.close())
    // Each arrives while its socket is open, and goes; half of them while the answer is under way.
    const gone = []
    service.server.on('connection', (socket) => gone.push(once(socket, 'close')))
    await Promise.all(
      Array.from({ length: 500 }, async (_, number) => {
        const socket = net.connect(service.port, '127.0.0.1')
        await once(socket, 'connect')
        const path = number % 2 ? '/hang' : '/silent'
        socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nx-key: ${number}\r\n\r\n`)
        if (number % 2) await once(socket, 'data')
        else while (!came.has(String(number))) await new Promise(setImmediate)
        socket.destroy()
      }),
    )
    await Promise.all(gone)
    // Streams that were told of it end in the turns after.
    const open = () => [...came].filter((key) => used(limiter, 'permits', key) > 0)
    for (let turn = 0; turn < 1000 && open().length > 0; turn++) await new Promise(setImmediate)
    assert.deepEqual(open(), [])
    assert.equal(came.size, 500)
    assert.deepEqual([...came].filter((key) => used(limiter, 'time', key) === 0), [])
    // Once: with permits given back twice, a second one would be free beside one that is taken.
    assert.equal(limiter.stats().allowed, 500)
  })

  titled('a client that goes away with requests in its pipeline leaves nothing taken', async (t) => {
    const limiter = new Limiter({ limit: [{ ...permits, quota: 5 }, time] })
    const came = new Set()
    const service = await serve({ limiter, identify }, { tick() {}, arrived: (key) => came.add(key) })
    t.after(() => service.close())
    const socket = net.connect(service.port, '127.0.0.1')
    const asked = (path, key) => `GET ${path} HTTP/1.1\r\nHost: a\r\nx-key: ${key}\r\n\r\n`
    // The second is answered, and its response waits for the first one's, as does that which never comes.
    socket.write(asked('/silent', 'first') + asked('/work', 'second') + asked('/silent', 'third'))
    await settled(() => came.size === 3)
    socket.destroy()
    for (const key of came) {
      await settled(() => used(limiter, 'permits', key) === 0 && used(limiter, 'time', key) > 0)
      assert.equal(used(limiter, 'permits', key), 0, key)
      assert.ok(used(limiter, 'time', key) > 0, key)
    }
  })

  titled('requests in a pipeline that are answered give back their permits, once', async (t) => {
    const { limiter, port } = await started(t, { limit: [{ ...permits, quota: 15 }] })
    limiter.acquire('k')
    const socket = net.connect(port, '127.0.0.1')
    socket.write('GET /tick?ms=0 HTTP/1.1\r\nHost: a\r\nx-key: k\r\n\r\n'.repeat(14))
    let text = ''
    socket.on('data', (data) => (text += data))
    await settled(() => text.split('HTTP/1.1 200').length === 15)
    socket.destroy()
    await settled(() => used(limiter, 'permits') === 1)
    assert.equal(text.split('HTTP/1.1 200').length, 15)
    assert.equal(used(limiter, 'permits'), 1)
  })

  titled('time is that until the response has ended, of answers, errors and streams', async (t) => {
    const { limiter, get } = await started(t, { limit: [time, permits] })
    for (const [path, status, ms] of [['/tick?ms=20', 200, 20], ['/fail', 500, 30], ['/stream', 200, 100]]) {
      const before = used(limiter, 'time')
      const response = await get(path)
      assert.equal(response.status, status)
      assert.ok(response.headers.has('x-ratelimit-limit'), `${path}: headers`)
      await response.text()
      await settled(() => used(limiter, 'permits') === 0)
      assert.ok(Math.abs(used(limiter, 'time') - before - ms * 1e6) <= 1e6 * 1, `${path}: ${used(limiter, 'time') - before}`)
    }
  })

  titled('a permit is given back once', async (t) => {
    const { limiter, get } = await started(t, { limit: [{ ...permits, quota: 2 }] })
    limiter.acquire('k')
    for (let i = 0; i < 3; i++) await (await get('/tick?ms=1')).text()
    await settled(() => used(limiter, 'permits') < 2)
    assert.equal(used(limiter, 'permits'), 1)
  })

  titled('denials: status, headers, Retry-After and the three bodies', async (t) => {
    for (const body of [undefined, 'error', 'message', 'problem']) {
      const { limiter, get } = await started(t, { limit: [count] }, { body, standardHeaders: true })
      for (let i = 0; i < 2; i++) assert.equal((await get('/tick?ms=0')).status, 200)
      const expected = limiter.peek('k')
      const response = await get('/tick?ms=0')
      assert.equal(response.status, 429)
      assert.equal(response.headers.get('retry-after'), '60')
      for (const [field, value] of Object.entries(expected.headers('both'))) assert.equal(response.headers.get(field), value)
      assert.equal(response.headers.get('content-type').split(';')[0], expected.contentType(body))
      assert.equal(await response.text(), expected.body(body))
    }
  })

  titled('headers: which of them', async (t) => {
    const seen = async (options) => {
      const { get } = await started(t, { limit: [{ ...count, rate: '1/minute' }] }, options)
      const names = async () => [...(await get('/tick?ms=0')).headers.keys()].filter((field) => /rate|retry/.test(field))
      return [await names(), await names()]
    }
    const legacy = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']
    const draft = ['ratelimit', 'ratelimit-policy']
    assert.deepEqual(await seen({}), [legacy, ['retry-after', ...legacy]])
    assert.deepEqual(await seen({ standardHeaders: true, legacyHeaders: false }), [draft, [...draft, 'retry-after']])
    assert.deepEqual(await seen({ legacyHeaders: false }), [[], ['retry-after']])
  })

  titled('own words: message, statusCode', async (t) => {
    const once = { limit: [{ ...count, rate: '1/minute' }] }
    const second = async (options) => {
      const { get } = await started(t, once, options)
      await get('/tick?ms=0')
      return get('/tick?ms=0')
    }
    const plain = await second({ message: 'Later, please.', statusCode: 503 })
    assert.equal(plain.status, 503)
    assert.match(plain.headers.get('content-type'), /^text\/plain/)
    assert.equal(await plain.text(), 'Later, please.')
    const made = await second({ message: async (request) => ({ for: keyOf(request) }) })
    assert.deepEqual(await made.json(), { for: 'k' })
    assert.equal(made.headers.get('retry-after'), '60')
  })

  titled('A5: a limit may close the connection', async (t) => {
    const abuse = { ...count, rate: '1/minute', close: true, message: 'Slow down.' }
    const { get } = await started(t, { limit: [abuse] })
    assert.notEqual((await get('/tick?ms=0')).headers.get('connection'), 'close')
    const denied = await get('/tick?ms=0')
    assert.equal(denied.headers.get('connection'), 'close')
    assert.equal((await denied.json()).error.message, 'Slow down.')
  })

  titled('skip, cost, and what the response cost in the end', async (t) => {
    const ten = { limit: [{ ...count, rate: '10/minute' }, permits] }
    const after = async (options, path) => {
      const { limiter, get, failures } = await started(t, ten, options)
      const response = await get(path)
      await response.text()
      await settled(() => used(limiter, 'permits') === 0)
      return [used(limiter, 'requests'), failures()]
    }
    assert.deepEqual(await after({ skip: async () => true }, '/tick?ms=0'), [0, 0])
    assert.deepEqual(await after({ cost: 4 }, '/tick?ms=0'), [4, 0])
    assert.deepEqual(await after({ cost: async () => 5 }, '/tick?ms=0'), [5, 0])
    assert.deepEqual(await after({ cost: 4, actualCost: () => 7 }, '/tick?ms=0'), [7, 0])
    assert.deepEqual(await after({ cost: 4, actualCost: async () => 1 }, '/tick?ms=0'), [1, 0])
    assert.deepEqual(await after({ skipFailedRequests: true }, '/status/404'), [0, 0])
    assert.deepEqual(await after({ skipFailedRequests: true }, '/status/200'), [1, 0])
    assert.deepEqual(await after({ skipSuccessfulRequests: true }, '/status/200'), [0, 0])
    assert.deepEqual(await after({ skipSuccessfulRequests: true }, '/status/404'), [1, 0])
    const mine = { skipFailedRequests: true, requestWasSuccessful: async () => false }
    assert.deepEqual(await after(mine, '/status/200'), [0, 0])
    // A function that fails after the response is told, and nothing is left taken.
    const told = []
    const broken = { actualCost: () => { throw new Error('broken') }, onError: (error) => told.push(error.message) }
    assert.deepEqual(await after(broken, '/tick?ms=0'), [1, 1])
    assert.deepEqual(told, ['broken'])
  })

  titled('an engine that fails: closed, or open, and counted', async (t) => {
    class Broken extends Limiter {
      [ENTER]() {
        throw new Error('the store is gone')
      }
    }
    const limiter = new Broken('1/minute')
    const told = []
    const onError = (error) => told.push(error.message)
    const failed = async (passOnStoreError) => {
      const service = await serve({ limiter, identify, passOnStoreError, onError })
      t.after(() => service.close())
      const response = await fetch(`${service.origin}/work`, { headers: { 'x-key': 'k' } })
      return [response.status, service.failures()]
    }
    assert.deepEqual(await failed(false), [500, 1])
    assert.deepEqual(await failed(true), [200, 1])
    assert.deepEqual(told, ['the store is gone', 'the store is gone'])
  })

  titled('onError that fails itself is warned of, and ends nothing', async (t) => {
    const warnings = []
    const onWarning = ({ code, detail }) => warnings.push([code, detail.split('\n')[0]])
    process.on('warning', onWarning)
    t.after(() => process.off('warning', onWarning))
    const thrown = () => { throw new Error('onError') }
    const ten = { limit: [{ ...count, rate: '10/minute' }, permits] }
    // After the response, where what is thrown would be nobody's: it would end the process, and this test.
    for (const onError of [thrown, async () => thrown()]) {
      for (const broken of [{ actualCost: thrown }, { requestWasSuccessful: async () => thrown(), skipFailedRequests: true }]) {
        const { limiter, get, failures } = await started(t, ten, { ...broken, onError })
        for (let i = 1; i <= 2; i++) {
          assert.equal((await get('/tick?ms=0')).status, 200)
          await settled(() => failures() === i && used(limiter, 'permits') === 0)
        }
        await settled(() => warnings.length === 1)
        assert.deepEqual(warnings.splice(0), [['TIDEGATE_ON_ERROR', 'Error: onError']])
      }
    }
    // Before it, where the engine has failed: what is thrown changes nothing.
    class Broken extends Limiter {
      [ENTER]() {
        throw new Error('the store is gone')
      }
    }
    const service = await serve({ limiter: new Broken('1/minute'), identify, passOnStoreError: true, onError: thrown })
    t.after(() => service.close())
    assert.equal((await fetch(`${service.origin}/work`, { headers: { 'x-key': 'k' } })).status, 200)
    await settled(() => warnings.length === 1)
  })

  titled('an engine that fails when the response is over is told, and ends nothing', async (t) => {
    class Broken extends Limiter {
      [ENTER](...asked) {
        const passage = super[ENTER](...asked)
        return Object.defineProperty(passage, 'end', { value() { throw new Error('the store is gone') } })
      }
    }
    const limiter = new Broken({ limit: [permits] })
    const told = []
    const service = await serve({ limiter, identify, onError: (error) => told.push(error.message) })
    t.after(() => service.close())
    assert.equal((await fetch(`${service.origin}/work`, { headers: { 'x-key': 'k' } })).status, 200)
    await settled(() => service.failures() === 1)
    assert.deepEqual(told, ['the store is gone'])
  })

  titled('a request without a key is no failure of the engine: it does not pass', async (t) => {
    const { origin, failures } = await started(t, { limit: [count] }, { passOnStoreError: true })
    assert.equal((await fetch(`${origin}/work`)).status, 500)
    assert.equal(failures(), 0)
  })

  titled('the route is the pattern, however the client writes the path', async (t) => {
    const route = { route: 'GET /v1/Items/:id' }
    const policy = { limit: [{ ...count, name: 'items', rate: '2/minute', by: ['route'], when: route }] }
    const { get, limiter } = await started(t, policy, { identify: () => ({}) })
    assert.equal((await get('/v1/Items/1')).status, 200)
    assert.equal((await get('/v1/Items/2', { method: 'HEAD' })).status, 200)
    assert.equal((await get('/v1/Items/3?x=1')).status, 429)
    assert.equal((await get('/v1/Items/4', { method: 'DELETE' })).status, 200)
    assert.equal(used(limiter, 'items', { route: 'GET /v1/Items/:id' }), 2)
  })

  titled('time is the limiter\'s own, also where the response says what it cost', async (t) => {
    const { limiter, get } = await started(t, { limit: [time, permits] }, { actualCost: () => 1 })
    await (await get('/tick?ms=20')).text()
    await settled(() => used(limiter, 'permits') === 0)
    assert.ok(Math.abs(used(limiter, 'time') - 20e6) <= 1e4, String(used(limiter, 'time')))
  })

  titled('patterns of one\'s own match a path however it is encoded', async (t) => {
    const policy = { limit: [{ ...count, name: 'items', by: ['route'] }] }
    const { get, limiter } = await started(t, policy, { identify: () => ({}), route: ['GET /v1/items/:id', 'GET /v1/straße'] })
    await get('/v1/%49tems/1')
    assert.equal(used(limiter, 'items', { route: 'GET /v1/items/:id' }), 1)
    await get('/v1/stra%C3%9Fe')
    assert.equal(used(limiter, 'items', { route: 'GET /v1/straße' }), 1)
  })

  titled('patterns of one\'s own', async (t) => {
    const policy = { limit: [{ ...count, name: 'items', by: ['route'] }] }
    const { get, limiter } = await started(t, policy, { identify: () => ({}), route: ['GET /v1/items/:id'] })
    await get('/v1/Items/1')
    assert.equal(used(limiter, 'items', { route: 'GET /v1/items/:id' }), 1)
  })

  titled('forged headers change nothing but from a trusted proxy', async (t) => {
    const policy = { limit: [{ ...count, rate: '100/minute', by: ['ip'] }] }
    const who = async (options, headers) => {
      const { get, limiter } = await started(t, policy, { identify: undefined, ...options })
      assert.equal((await get('/tick?ms=0', { headers })).status, 200)
      return ['127.0.0.1', '203.0.113.9', '198.51.100.7', '2001:db8::1'].filter((ip) => used(limiter, 'requests', { ip }) > 0)
    }
    const forged = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
    assert.deepEqual(await who({}, forged), ['127.0.0.1'])
    assert.deepEqual(await who({ trustProxy: ['10.0.0.0/8'] }, forged), ['127.0.0.1'])
    assert.deepEqual(await who({ trustProxy: 'loopback' }, forged), ['203.0.113.9'])
    const chain = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7, 10.1.2.3' }
    assert.deepEqual(await who({ trustProxy: ['loopback', '10.0.0.0/8'] }, chain), ['198.51.100.7'])
    assert.deepEqual(await who({ trustProxy: 2 }, chain), ['198.51.100.7'])
    const told = { forwarded: 'for=203.0.113.9, for="[2001:db8::1]:4711";proto=https' }
    assert.deepEqual(await who({ trustProxy: 1, proxyHeader: 'forwarded' }, told), ['2001:db8::1'])
    assert.deepEqual(await who({ trustProxy: 1 }, { 'x-forwarded-for': 'unknown' }), ['127.0.0.1'])
  })

  more?.({ titled, started, count, used })
}

// The time of all answers that were no denials, from the moment that a server has read a request.
function stopwatch(server) {
  const sum = { ms: 0 }
  server.prependListener('request', (req, res) => {
    const began = performance.now()
    res.once('close', () => {
      if (res.statusCode === 200) sum.ms += performance.now() - began
    })
  })
  return sum
}

// Each answer is right in itself.
function checkAnswer({ status, headers, text }, quota) {
  assert.equal(headers['x-ratelimit-limit'], String(status === 200 ? headers['x-ratelimit-limit'] : quota))
  for (const field of ['x-ratelimit-remaining', 'x-ratelimit-reset']) assert.match(headers[field], /^\d+$/)
  if (status === 200) {
    assert.equal(headers['retry-after'], undefined)
    assert.deepEqual(JSON.parse(text), { ok: true })
    return
  }
  assert.equal(status, 429)
  assert.match(headers['content-type'], /^application\/json/)
  const { error } = JSON.parse(text)
  assert.equal(error.code, 'RATE_LIMIT_EXCEEDED')
  assert.equal(error.details.limit, quota)
  assert.equal(error.details.remaining, 0)
  assert.equal(String(error.details.retry_after_seconds), headers['retry-after'])
  assert.equal(Date.parse(error.details.reset_at) / 1000, Number(headers['x-ratelimit-reset']))
  assert.equal(headers['x-ratelimit-remaining'], '0')
  assert.match(headers.ratelimit, /^"requests";r=0;t=\d+$/)
}

// The end of a response reaches the client before the server has heard of it.
async function settled(isDone) {
  for (let turn = 0; turn < 10_000 && !isDone(); turn++) await new Promise(setImmediate)
  assert.ok(isDone(), 'it settles')
}

module.exports = { suite, settled, identify, START }
