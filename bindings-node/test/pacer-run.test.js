'use strict'

// Calls that go at once: what they are given back, and what is left of them.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { ManualClock, Pacer } = require('tidegate')

const idle = () => new Promise(setImmediate)

const refused = () => Object.assign(new Error('refused'), { status: 429, headers: { 'retry-after': '1' } })

function paced(options) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  return { clock, pacer: new Pacer(undefined, { clock, ...options }) }
}

test('whatever goes wrong is a rejection, and no call stays under way', async () => {
  const { pacer } = paced()
  const failure = new Error('of the work')
  const thrower = () => {
    throw failure
  }
  const cases = [
    [() => pacer.run(7), TypeError],
    [() => pacer.run(() => 1, { costs: 1 }), TypeError],
    [() => pacer.run(() => 1, { cost: -1 }), RangeError],
    [() => pacer.run(thrower), failure],
    [() => pacer.run(async () => thrower()), failure],
    [() => pacer.run(() => Promise.reject(failure)), failure],
    [() => pacer.run(() => ({ then: thrower })), failure],
    [() => pacer.run(() => Object.defineProperty({}, 'then', { get: thrower })), failure],
    [() => pacer.run(() => Object.defineProperty(Promise.resolve(1), 'constructor', { get: thrower })), failure],
  ]
  for (const [call, wanted] of cases) {
    const promise = call()
    assert.ok(promise instanceof Promise)
    await assert.rejects(promise, wanted)
    assert.equal(pacer.stats().inFlight, 0)
  }
})

test('promises of every kind are waited for', async () => {
  const { pacer } = paced()
  class Own extends Promise {}
  const patched = Promise.resolve('patched')
  patched.then = () => 'nothing'
  assert.equal(await pacer.run(() => 'plain'), 'plain')
  assert.equal(await pacer.run(() => Own.resolve('own')), 'own')
  assert.equal(await pacer.run(() => patched), 'patched')
  assert.equal(await pacer.run(() => ({ then: (resolve) => resolve('thenable') })), 'thenable')
  assert.equal(pacer.stats().inFlight, 0)
})

test('a call that passes is settled as early as one that is awaited', async () => {
  const { pacer } = paced()
  const order = []
  const work = async () => {}
  const awaited = async () => await work()
  const calls = [awaited().then(() => order.push('before')), pacer.run(work).then(() => order.push('paced'))]
  calls.push(awaited().then(() => order.push('after')))
  await Promise.all(calls)
  assert.deepEqual(order, ['before', 'paced', 'after'])
})

test('the first attempt and those that follow are the same work, told their number', async () => {
  const { clock, pacer } = paced({ maxRetries: 3, seed: 1 })
  const controller = new AbortController()
  for (const synchronous of [true, false]) {
    const told = []
    const work = ({ attempt, signal }) => {
      told.push([attempt, signal === controller.signal])
      if (attempt === 3) return 'done'
      if (synchronous) throw refused()
      return Promise.reject(refused())
    }
    const call = pacer.run(work, { signal: controller.signal })
    // Another call takes no part in it.
    const other = assert.rejects(pacer.run(() => Promise.reject(new Error('other'))), /other/)
    for (let n = 0; n < 20; n++) {
      await idle()
      clock.advance(1000)
    }
    assert.equal(await call, 'done')
    await other
    assert.deepEqual(told, [[1, true], [2, true], [3, true]])
  }
})

test('a call that is over keeps nothing of its work', { skip: global.gc === undefined }, async () => {
  const { pacer } = paced()
  const gone = []
  // In a function of its own: this one would hold the last of them.
  function begun(options) {
    const work = () => 1
    gone.push(new WeakRef(work))
    return pacer.run(work, options)
  }
  await begun()
  await begun({ cost: 1 })
  for (let round = 0; round < 50 && gone.some((one) => one.deref()); round++) {
    await idle()
    global.gc()
  }
  assert.deepEqual(gone.map((one) => one.deref()), [undefined, undefined])
  assert.equal(pacer.stats().calls, 2)
})
