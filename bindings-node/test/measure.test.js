'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { Limiter, ManualClock, RateLimitedError } = require('tidegate')

const POLICY = {
  limit: [
    { name: 'requests', rate: '10/hour' },
    { name: 'time', rate: '1s/hour' },
    { name: 'permits', method: 'concurrency', quota: 1 },
  ],
}

function at(policy = POLICY) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  return { clock, limiter: new Limiter(policy, { clock }) }
}

const used = (limiter) => limiter.snapshot('a').buckets.map((bucket) => bucket.used)

test('measure charges the time and gives the permit back: async and sync work', async () => {
  const { clock, limiter } = at()
  const result = await limiter.measure('a', async (decision) => {
    assert.equal(decision.allowed, true)
    assert.deepEqual(used(limiter), [1, 0, 1])
    await null
    clock.advance(100)
    return 'done'
  })
  assert.equal(result, 'done')
  assert.equal(limiter.snapshot('a').buckets[2].used, 0)
  const exact = limiter.snapshotAt('a', clock.nowNs())
  assert.equal(exact.buckets[1].used, 100_000_000n)
  assert.equal(await limiter.measure('a', () => 7, { cost: 3 }), 7)
  assert.equal(used(limiter)[0], 4)
})

test('work that throws is measured just the same, and its error comes through', async () => {
  for (const fail of [
    () => {
      throw new Error('sync')
    },
    async () => {
      throw new Error('async')
    },
  ]) {
    const { clock, limiter } = at()
    const work = () => {
      clock.advance(250)
      return fail()
    }
    await assert.rejects(limiter.measure('a', work), { message: /^(a?sync)$/ })
    assert.equal(limiter.snapshotAt('a', clock.nowNs()).buckets[1].used, 250_000_000n)
    assert.equal(limiter.snapshot('a').buckets[2].used, 0)
  }
})

test('denied: a real Error with the decision, and the work does not run', async () => {
  const { limiter } = at()
  limiter.acquire('a')
  let ran = false
  await assert.rejects(
    limiter.measure('a', () => {
      ran = true
    }),
    (error) => {
      assert.ok(error instanceof RateLimitedError && error instanceof Error)
      assert.equal(error.name, 'RateLimitedError')
      assert.equal(error.code, 'ERR_RATE_LIMITED')
      assert.equal(error.decision.allowed, false)
      assert.equal(error.decision.name, 'permits')
      assert.match(error.message, /limited by 'permits'; retry after 1000 ms/)
      assert.match(error.stack, /measure\.test\.js/)
      return true
    },
  )
  assert.equal(ran, false)
  assert.equal(limiter.snapshot('a').buckets[2].used, 1)
  await assert.rejects(limiter.measure('a', () => {}, { cost: 11 }), { message: /can ever hold/ })
  limiter.block('a', 5)
  await assert.rejects(limiter.measure('a', () => {}), { message: /blocked; retry after 5 ms/ })
})

test('a measured request that ends lets a waiter in', async () => {
  const { limiter } = at()
  let end
  const running = limiter.measure('a', () => new Promise((resolve) => (end = resolve)))
  const waiting = limiter.wait('a')
  end('over')
  assert.equal(await running, 'over')
  assert.equal((await waiting).allowed, true)
})
