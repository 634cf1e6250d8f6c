'use strict'

// What is owed when a response is over, and that nobody listens for its end where nothing is.

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const http = require('node:http')
const { test } = require('node:test')

const { Limiter, ManualClock } = require('tidegate')
const { ENTER } = require('../lib/limiter.js')
const { Address, STYLES } = require('../lib/passage.js')
const { rateLimit } = require('../adapters/express.js')

const START = Date.UTC(2026, 0, 1)
const count = { name: 'requests', rate: '10/day' }
const permits = { name: 'permits', method: 'concurrency', quota: 2 }
const time = { name: 'time', method: 'latency', rate: '1h/day', algorithm: 'fixed_window' }

function made(policy) {
  const clock = new ManualClock(START)
  return { clock, limiter: new Limiter(policy, { clock }) }
}

const used = (limiter, key = 'k') => Object.fromEntries(limiter.snapshot(key).buckets.map((one) => [one.limit, one.used]))

test('owes: permits and time, and nothing else', () => {
  const owed = (policy, key = 'k') => made(policy).limiter[ENTER](key, 1, 1).owes
  assert.equal(owed({ limit: [count] }), false)
  assert.equal(owed({ limit: [count, permits] }), true)
  assert.equal(owed({ limit: [count, time] }), true)
  assert.equal(owed({ limit: [permits], exempt: [{ name: 'own', when: { key: 'k' } }] }), false)
  const { limiter } = made({ limit: [{ ...permits, quota: 1 }] })
  assert.equal(limiter[ENTER]('k', 1, 1).owes, true)
  assert.equal(limiter[ENTER]('k', 1, 1).owes, false, 'a denied one')
  assert.equal(used(limiter).permits, 1)
})

test('owes: by the policy in force when the request came', () => {
  const { clock, limiter } = made({ limit: [count] })
  const before = limiter[ENTER]('k', 1, 1)
  limiter.update({ limit: [count, permits, time] })
  const after = limiter[ENTER]('k', 1, 1)
  clock.advance(40)
  before.end()
  assert.deepEqual(used(limiter), { requests: 2, permits: 1, time: 0 })
  after.end()
  assert.deepEqual(used(limiter), { requests: 2, permits: 0, time: 40e6 })
  const last = limiter[ENTER]('k', 1, 1)
  limiter.update({ limit: [count] })
  last.end()
  assert.deepEqual(used(limiter), { requests: 3 })
})

test('an address alone is asked about as the attribute that it is', () => {
  const policy = { limit: [{ ...count, by: ['ip'] }, { ...permits, by: ['ip'] }] }
  const { limiter } = made(policy)
  const passage = limiter[ENTER](new Address('2001:db8::1'), 3, 1)
  assert.deepEqual(passage.decision, made(policy).limiter.acquire({ ip: '2001:db8::1' }, 3))
  assert.deepEqual(used(limiter, { ip: '2001:db8::1' }), { requests: 3, permits: 1 })
  passage.end()
  assert.deepEqual(used(limiter, { ip: '2001:db8::1' }), { requests: 3, permits: 0 })
  for (const ip of [undefined, null, 7]) {
    assert.throws(() => limiter[ENTER](new Address(ip), 1, 1), { name: 'TypeError', message: /^key\.ip: / })
  }
  assert.throws(() => made({ limit: [count] }).limiter[ENTER](new Address('192.0.2.1'), 1, 1), { field: 'key' })
})

test('headers in small letters', () => {
  const { limiter } = made({ limit: [count, permits] })
  const passage = limiter[ENTER]('k', 1, 3)
  const [own, lower] = [{}, {}]
  passage.eachHeader((name, value) => (own[name] = value))
  passage.eachHeader((name, value) => (lower[name] = value), true)
  assert.deepEqual(own, passage.decision.headers('both'))
  const small = Object.entries(own).map(([name, value]) => [name.toLowerCase(), value])
  assert.deepEqual(lower, Object.fromEntries(small))
})

test('header fields of every kind, however they are asked for', () => {
  const policies = [
    { limit: [count, permits] },
    { limit: [time] },
    { limit: [{ ...count, rate: '10/minute', algorithm: 'fixed_window' }] },
    { limit: [{ name: 'r', cascade: ['2/minute', { rate: '1/second', burst: 1 }] }] },
    // Whole numbers up to 2^53 − 1 are exact in JavaScript; beyond, the engine tells them as texts.
    { limit: [{ name: 'r', quota: 2 ** 53 - 1, period: '1h', algorithm: 'fixed_window' }] },
    { limit: [{ name: 'r', cascade: ['9007199254740991/365d', '9007199254740991/366d'] }] },
    { limit: [permits], exempt: [{ name: 'own', when: { key: 'k' } }] },
  ]
  for (const policy of policies) {
    for (const [name, style] of Object.entries(STYLES)) {
      const { limiter } = made(policy)
      for (let i = 0; i < 4; i++) {
        const passage = limiter[ENTER]('k', 1, style)
        const [own, added] = [{}, { before: 'b' }]
        passage.eachHeader((field, value) => (own[field] = value))
        passage.addTo(added)
        const expected = style === STYLES.none ? {} : passage.decision.headers(name)
        const what = `${JSON.stringify(policy)} ${name} ${i}`
        assert.deepEqual(own, expected, what)
        assert.deepEqual(Object.keys(own), Object.keys(expected), what)
        const small = Object.entries(expected).map(([field, value]) => [field.toLowerCase(), value])
        assert.deepEqual(added, { before: 'b', ...Object.fromEntries(small) }, what)
      }
    }
  }
})

// A response that the middleware has seen, with the number of listeners that it left.
function seen(limiter, response, count = (name) => response.listenerCount(name)) {
  const before = ['finish', 'close'].map(count)
  const request = { url: '/', method: 'GET', headers: {}, socket: { remoteAddress: '192.0.2.1' } }
  let passed = false
  rateLimit({ limiter, keyGenerator: () => 'k' })(request, response, () => (passed = true))
  assert.ok(passed)
  return ['finish', 'close'].map((name, index) => count(name) - before[index])
}

test('listeners: none where nothing is owed, one of a response of Node, both of others', () => {
  const node = () => new http.ServerResponse({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 })
  const other = () => Object.assign(new EventEmitter(), { setHeader() {} })
  const [nothing, owing] = [made({ limit: [count] }).limiter, made({ limit: [count, permits] }).limiter]
  assert.deepEqual(seen(nothing, node()), [0, 0])
  assert.deepEqual(seen(nothing, other()), [0, 0])
  assert.deepEqual(seen(owing, node()), [0, 1])
  const response = other()
  assert.deepEqual(seen(owing, response), [1, 1])
  assert.equal(used(owing).permits, 2)
  response.emit('finish')
  response.emit('close')
  assert.equal(used(owing).permits, 1)
})
