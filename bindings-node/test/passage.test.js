'use strict'

// `admit`, and what adapters use instead: `enter` of a limiter, which answers with header fields.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { Admission, Limiter, ManualClock } = require('tidegate')
const { ENTER } = require('../lib/limiter.js')
const { STYLES } = require('../lib/passage.js')

const START = Date.UTC(2026, 0, 1)
const permits = { name: 'permits', method: 'concurrency', quota: 2 }
const time = { name: 'time', method: 'latency', rate: '1h/day', algorithm: 'fixed_window' }

function made(policy) {
  const clock = new ManualClock(START)
  return { clock, limiter: new Limiter(policy, { clock }) }
}

const used = (limiter, key = 'k') => Object.fromEntries(limiter.snapshot(key).buckets.map((one) => [one.limit, one.used]))

test('admit: time and permits come back with finish, once', () => {
  const { clock, limiter } = made({ limit: [permits, time, { name: 'requests', rate: '10/day' }] })
  const [first, second] = [limiter.admit('k'), limiter.admit('k', 3)]
  assert.ok(first instanceof Admission)
  assert.equal(limiter.admit('k').decision.allowed, false)
  assert.deepEqual(used(limiter), { permits: 2, time: 0, requests: 4 })
  clock.advance(250)
  first.finish()
  first.finish()
  assert.deepEqual(used(limiter), { permits: 1, time: 250e6, requests: 4 })
  assert.equal(second.renew(), true)
  second.finish()
  assert.equal(second.renew(), false)
  assert.deepEqual(used(limiter), { permits: 0, time: 500e6, requests: 4 })
  assert.throws(() => limiter.admit(7), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})

test('admit: a waiter is let in when another finishes', async () => {
  const { limiter } = made({ limit: [{ ...permits, quota: 1 }] })
  const first = limiter.admit('k')
  const waiting = limiter.wait('k')
  first.finish()
  assert.equal((await waiting).allowed, true)
})

test('enter: the decision of acquire, and its header fields', () => {
  const policy = { limit: [{ name: 'requests', cascade: ['2/minute', { rate: '1/second', burst: 1 }] }] }
  for (const [style, number] of Object.entries(STYLES)) {
    const [{ limiter: asked }, { limiter: entered }] = [made(policy), made(policy)]
    for (let i = 0; i < 5; i++) {
      const decision = asked.acquire('k')
      const passage = entered[ENTER]('k', 1, number)
      assert.deepEqual(passage.decision, decision)
      const headers = {}
      passage.eachHeader((name, value) => (headers[name] = value))
      assert.deepEqual(headers, style === 'none' ? {} : decision.headers(style))
      assert.equal(passage.decision.body(), decision.body())
    }
  }
})

test('enter: attributes of every number and kind', () => {
  for (const count of [1, 2, 3, 8, 9, 12]) {
    const names = Array.from({ length: count }, (_, i) => (i === 0 ? 'key' : `a${i}`))
    const { limiter } = made({ limit: [{ name: 'r', rate: '9/day', by: names.slice(0, 8) }] })
    const subject = Object.fromEntries(names.map((name, i) => [name, i % 2 ? Buffer.from([i, 0, 255]) : `value ${i} é`]))
    limiter[ENTER](subject, 2, 1).end()
    assert.equal(limiter.snapshot(subject).buckets[0].used, 2)
  }
  const { limiter } = made('9/day')
  const before = limiter.stats().allowed
  for (const bad of [{}, { key: 1 }, { key: undefined }, { key: 'k', ip: null }]) {
    assert.throws(() => limiter[ENTER](bad, 1, 1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  assert.throws(() => limiter[ENTER]({ ip: '192.0.2.1' }, 1, 1), { field: 'key' })
  assert.throws(() => limiter[ENTER]('k', -1, 1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => limiter[ENTER]('k', 1.5, 1), { name: 'RangeError' })
  assert.equal(limiter.stats().allowed, before)
  assert.equal(limiter[ENTER](Buffer.from('k'), 1n, 1).decision.remaining, 8)
})

test('enter: each request gives back its own, in any order, and numbers are used again', () => {
  const { clock, limiter } = made({ limit: [{ ...permits, quota: 1000 }, time] })
  let expected = 0
  for (let round = 0; round < 5; round++) {
    const passages = Array.from({ length: 200 }, (_, i) => {
      clock.advance(1)
      return { passage: limiter[ENTER](`k${i % 3}`, 1, 0), since: clock.now() }
    })
    passages.sort((a, b) => (a.since % 7) - (b.since % 7))
    for (const { passage, since } of passages) {
      expected += clock.now() - since
      passage.end()
      passage.end()
    }
    const sums = [0, 1, 2].map((i) => used(limiter, `k${i}`))
    assert.deepEqual(sums.map((sum) => sum.permits), [0, 0, 0])
    assert.equal(sums.reduce((sum, one) => sum + one.time, 0), expected * 1e6)
  }
})

test('enter: whoever is told of an alert may make calls', () => {
  const { limiter } = made({ limit: [{ name: 'r', rate: '4/day', alerts: [0.5] }, { ...permits, quota: 9 }] })
  const inner = []
  limiter.onAlert(() => inner.push(limiter[ENTER]('other', 1, 1)))
  const passages = [limiter[ENTER]('k', 1, 1), limiter[ENTER]('k', 1, 1), limiter[ENTER]('k', 1, 1)]
  assert.equal(inner.length, 1)
  assert.deepEqual(passages.map(({ decision }) => decision.remaining), [3, 2, 1])
  assert.equal(inner[0].decision.remaining, 3)
  for (const passage of [...passages, ...inner]) passage.end()
  assert.deepEqual([used(limiter).permits, used(limiter, 'other').permits], [0, 0])
})

test('enter: what is forgotten goes with its limiter, and a worker may end in the middle', async () => {
  for (let i = 0; i < 200; i++) made({ limit: [permits] }).limiter[ENTER]('k', 1, 3)
  globalThis.gc?.()
  const worker = new Worker(
    `const { Limiter } = require(${JSON.stringify(require.resolve('tidegate'))})
     const { ENTER } = require(${JSON.stringify(require.resolve('../lib/limiter.js'))})
     const limiter = new Limiter({ limit: [{ name: 'p', method: 'concurrency', quota: 1000 }] })
     const open = []
     for (let i = 0; i < 100; i++) open.push(limiter[ENTER]('k', 1, 1))
     require('node:worker_threads').parentPort.postMessage('open')
     for (;;) limiter[ENTER]('k' + open.length, 1, 1).end()`,
    { eval: true },
  )
  await once(worker, 'message')
  await worker.terminate()
})
