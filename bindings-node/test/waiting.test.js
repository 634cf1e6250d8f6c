'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { getEventListeners } = require('node:events')
const { Limiter, ManualClock } = require('tidegate')

function at(policy) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  return { clock, limiter: new Limiter(policy, { clock }) }
}

// How far each promise is once all microtasks have run.
async function states(promises) {
  await new Promise(setImmediate)
  return Promise.all(
    promises.map((promise) =>
      Promise.race([promise, 'waiting']).then(
        (value) => (value === 'waiting' ? value : value.allowed ? 'admitted' : value.reason),
        () => 'rejected',
      ),
    ),
  )
}

test('wait is admitted at once when there is room', async () => {
  const { limiter } = at('2/second')
  const decision = await limiter.wait('a')
  assert.deepEqual([decision.allowed, decision.remaining, decision.reason], [true, 1, 'ok'])
})

test('waiters are served in order, as time passes', async () => {
  const { clock, limiter } = at('1/second')
  limiter.acquire('a')
  const order = []
  const waits = [1, 2, 3].map((n) => limiter.wait('a').then((d) => order.push(n) && d))
  assert.deepEqual(await states(waits), ['waiting', 'waiting', 'waiting'])
  clock.advance(999.999999)
  assert.deepEqual(await states(waits), ['waiting', 'waiting', 'waiting'])
  clock.advanceNs(1n)
  assert.deepEqual(await states(waits), ['admitted', 'waiting', 'waiting'])
  clock.advance(1000)
  assert.deepEqual(await states(waits), ['admitted', 'admitted', 'waiting'])
  clock.advance(1000)
  await Promise.all(waits)
  assert.deepEqual(order, [1, 2, 3])
  assert.equal(limiter.tryAcquire('a'), false)
})

test('a big cost is not starved by small ones behind it', async () => {
  const { clock, limiter } = at('10/second')
  limiter.acquire('a', 10)
  const big = limiter.wait('a', { cost: 10 })
  const small = limiter.wait('a', { cost: 1 })
  clock.advance(500)
  assert.deepEqual(await states([big, small]), ['waiting', 'waiting'])
  clock.advance(500)
  assert.deepEqual(await states([big, small]), ['admitted', 'waiting'])
  clock.advance(100)
  assert.deepEqual(await states([big, small]), ['admitted', 'admitted'])
})

test('a released permit goes to the first waiter', async () => {
  const { limiter } = at({ limit: [{ name: 'rooms', method: 'concurrency', quota: 1 }] })
  limiter.acquire('a')
  const waits = [limiter.wait('a'), limiter.wait('a')]
  assert.deepEqual(await states(waits), ['waiting', 'waiting'])
  limiter.release('a')
  assert.deepEqual(await states(waits), ['admitted', 'waiting'])
  limiter.release('a')
  assert.deepEqual(await states(waits), ['admitted', 'admitted'])
})

test('a refund, a reset and an update wake waiters', async () => {
  for (const wake of [
    (limiter) => limiter.refund('a', 1),
    (limiter) => limiter.reset('a'),
    (limiter) => limiter.update({ limit: [{ name: 'b', rate: '5/hour' }] }),
  ]) {
    const { limiter } = at('1/hour')
    limiter.acquire('a')
    const waits = [limiter.wait('a')]
    assert.deepEqual(await states(waits), ['waiting'])
    wake(limiter)
    assert.deepEqual(await states(waits), ['admitted'], String(wake))
  }
})

test('a cancelled reservation wakes waiters', async () => {
  const { limiter } = at('10/hour')
  const reservation = limiter.reserve('a', 10)
  const waits = [limiter.wait('a', { cost: 4 })]
  assert.deepEqual(await states(waits), ['waiting'])
  reservation.cancel()
  assert.deepEqual(await states(waits), ['admitted'])
})

test('a timeout that cannot be kept, and one that passes', async () => {
  const { clock, limiter } = at('1/second')
  limiter.acquire('a')
  const tooShort = await limiter.wait('a', { timeoutMs: 999 })
  assert.deepEqual([tooShort.allowed, tooShort.reason], [false, 'limited'])
  const enough = limiter.wait('a', { timeoutMs: 1000 })
  clock.advance(1000)
  assert.equal((await enough).allowed, true)
  const none = await limiter.wait('a', { timeoutMs: 0 })
  assert.equal(none.allowed, false)
})

test('an impossible cost does not wait', async () => {
  const { limiter } = at('5/second')
  const decision = await limiter.wait('a', { cost: 6 })
  assert.deepEqual([decision.reason, decision.retryAfterMs], ['impossible', Infinity])
})

test('an aborted wait rejects with the reason, takes nothing and leaves nothing', async () => {
  const { clock, limiter } = at('1/second')
  limiter.acquire('a')
  const controller = new AbortController()
  const { signal } = controller
  const aborted = limiter.wait('a', { signal })
  const next = limiter.wait('a', { signal: AbortSignal.any([signal, new AbortController().signal]) })
  const other = limiter.wait('a')
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(aborted, (error) => error === reason)
  await assert.rejects(next, (error) => error === reason)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  clock.advance(1000)
  assert.equal((await other).allowed, true)
  assert.equal(limiter.tryAcquire('a'), false)
})

test('a signal that is aborted already takes nothing, even when there is room', async () => {
  const { limiter } = at('1/second')
  await assert.rejects(limiter.wait('a', { signal: AbortSignal.abort('no') }), (e) => e === 'no')
  assert.equal(limiter.tryAcquire('a'), true)
})

test('an admitted wait lets go of its signal', async () => {
  const { limiter } = at('1/second')
  const { signal } = new AbortController()
  await limiter.wait('a', { signal })
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('timers: one while waiting on the system clock, none afterwards', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  const limiter = new Limiter('1/hour')
  limiter.acquire('a')
  const controller = new AbortController()
  const waits = [1, 2].map(() => limiter.wait('a', { signal: controller.signal }))
  // The event loop goes on meanwhile.
  await new Promise(setImmediate)
  assert.ok(timers() > before)
  controller.abort()
  await Promise.allSettled(waits)
  assert.equal(timers(), before)
})

test('a wait on the system clock ends by itself', async () => {
  const limiter = new Limiter('1000/second burst 1')
  const decisions = []
  for (let i = 0; i < 3; i++) decisions.push(await limiter.wait('a'))
  assert.deepEqual(decisions.map((d) => d.allowed), [true, true, true])
})

test('many waiters of many keys', async () => {
  const { clock, limiter } = at('1/second')
  const waits = []
  for (let i = 0; i < 2000; i++) waits.push(limiter.wait(`key:${i % 100}`))
  for (let second = 0; second < 20; second++) clock.advance(1000)
  const decisions = await Promise.all(waits)
  assert.equal(decisions.filter((d) => d.allowed).length, 2000)
})
