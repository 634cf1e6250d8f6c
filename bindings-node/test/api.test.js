'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { inspect } = require('node:util')
const { Limiter, ManualClock, Reservation } = require('tidegate')

const START = Date.UTC(2026, 0, 1)

function at(policy, options) {
  const clock = new ManualClock(START)
  return { clock, limiter: new Limiter(policy, { clock, ...options }) }
}

// The core's JSON of a decision: plain fields, no more and no fewer.
const fields = (decision) => ({ ...decision })

test('acquire answers with plain numbers', () => {
  const { clock, limiter } = at('2/second')
  const first = limiter.acquire('user:42')
  const { name } = first
  assert.deepEqual(fields(first), {
    allowed: true,
    limit: 2,
    remaining: 1,
    retryAfterMs: 0,
    resetAfterMs: 500,
    name,
    reason: 'ok',
  })
  assert.notEqual(name, '')
  assert.equal(limiter.acquire('user:42').remaining, 0)
  clock.advance(0.25)
  assert.deepEqual(fields(limiter.acquire('user:42')), {
    allowed: false,
    limit: 2,
    remaining: 0,
    retryAfterMs: 499.75,
    resetAfterMs: 999.75,
    name,
    reason: 'limited',
  })
})

test('acquireMany is acquire of each key, in order, in batches of every size', () => {
  for (const size of [0, 1, 2, 15, 16, 17, 100, 1024, 1025, 5000]) {
    const many = at('3/second; 5/hour').limiter
    const single = at('3/second; 5/hour').limiter
    const keys = Array.from({ length: size }, (_, i) => `user:${(i * i) % 997}`)
    if (size > 10) keys.splice(3, 5, '', Buffer.from('é'), 'é', new Uint8Array(0), 'x'.repeat(300))
    for (const limiter of [many, single]) limiter.block('user:1', 5)
    const expected = keys.map((key) => single.acquire(key, 2))
    const answers = many.acquireMany(keys, 2)
    assert.deepEqual(answers.map(fields), expected.map(fields), `${size} keys`)
    assert.deepEqual(many.stats(), single.stats(), `${size} keys`)
  }
})

test('acquireMany: a key twice, the default cost, any iterable, and a time', () => {
  const { clock, limiter } = at('2/hour')
  const rest = (decisions) => decisions.map(({ allowed, remaining }) => `${allowed} ${remaining}`)
  assert.deepEqual(rest(limiter.acquireMany(['a', 'b', 'a', 'a'])), ['true 1', 'true 1', 'true 0', 'false 0'])
  assert.deepEqual(rest(limiter.acquireMany(new Set(['b', 'c']), 2)), ['false 1', 'true 0'])
  assert.deepEqual(rest(limiter.acquireMany(new Map([['d', 1]]).keys(), 3n)), ['false 2'])
  assert.deepEqual(limiter.acquireMany([]), [])
  const exact = limiter.acquireManyAt(['a', 'a'], 1, clock.nowNs() + 1_800_000_000_000n)
  assert.deepEqual(exact.map(({ allowed }) => allowed), [true, false])
  assert.equal(exact[1].retryAfterNs, 1_800_000_000_000n)
  assert.deepEqual(limiter.acquireManyAt([], 1, clock.nowNs()), [])
})

test('acquireMany tells names that are new, and big numbers, each with its own decision', () => {
  const policy = (first, second) => ({
    limit: [
      { name: first, rate: '2/hour' },
      { name: second, rate: '200d/year', method: 'latency' },
    ],
  })
  const { limiter } = at(policy('few', 'time'))
  const slow = () => limiter.recordLatency('slow', 8.64e7 * 250)
  slow()
  limiter.block('blocked', 1000)
  const names = (keys) => limiter.acquireMany(keys).map(({ name }) => name)
  assert.deepEqual(names(['a', 'slow', 'blocked', 'a', 'slow']), ['few', 'time', '', 'few', 'time'])
  assert.equal(limiter.acquire('slow').name, 'time')
  limiter.update(policy('fewer', 'late'))
  slow()
  assert.deepEqual(names(['slow', 'b', 'slow']), ['late', 'fewer', 'late'])
  assert.equal(limiter.acquire('b').name, 'fewer')
  const [big, small] = limiter.acquireMany(['slow', 'c'])
  assert.throws(() => big.limit, { name: 'RangeError', message: /^limit: .*acquireAt/ })
  assert.equal(small.limit, 2)
})

test('a decision is plain data to JSON, inspect and spread', () => {
  const { limiter } = at('5/second')
  const decision = limiter.acquire('a', 5)
  assert.deepEqual(JSON.parse(JSON.stringify(decision)), { ...decision })
  assert.match(inspect(decision), /allowed: true/)
})

test('a decision is not changed by the next one', () => {
  const { limiter } = at('5/second')
  const first = limiter.acquire('a')
  limiter.acquire('a')
  new Limiter('9/second').acquire('b', 3)
  const [second] = limiter.acquireMany(['a'])
  new Limiter('9/second').acquireMany(['b', 'b'], 3)
  assert.deepEqual([second.limit, second.remaining], [5, 2])
  assert.deepEqual([first.limit, first.remaining], [5, 4])
})

test('decisions stay fast after thousands of updates with names of their own', () => {
  const { limiter } = at('1000000000/second', { maxKeys: 64 })
  const named = (name) => ({ limit: [{ name, rate: '1000000000/second' }] })
  // The fastest of some rounds, whatever else the machine does meanwhile.
  const fastest = () => {
    let best = Infinity
    for (let round = 0; round < 20; round++) {
      const begun = process.hrtime.bigint()
      for (let i = 0; i < 200; i++) limiter.acquire('a')
      best = Math.min(best, Number(process.hrtime.bigint() - begun))
    }
    return best
  }
  limiter.update(named('first'))
  assert.equal(limiter.acquire('a').name, 'first')
  fastest()
  const few = fastest()
  for (let i = 0; i < 10_000; i++) {
    limiter.update(named(`name ${i}`))
    assert.equal(limiter.acquire('a').name, `name ${i}`)
  }
  const newest = fastest()
  assert.ok(newest < 4 * few, `${newest} ns with many names, ${few} ns with few`)
  limiter.update(named('first'))
  assert.equal(limiter.acquire('a').name, 'first')
  const oldest = fastest()
  assert.ok(oldest < 4 * few, `${oldest} ns with many names, ${few} ns with few`)
  limiter.update(named('name 9999'))
  assert.equal(limiter.acquire('a').name, 'name 9999')
})

test('names follow the limit that decides, also after an update', () => {
  const policy = (first, second) => ({
    limit: [
      { name: first, rate: '2/second' },
      { name: second, rate: '3/hour' },
    ],
  })
  const { clock, limiter } = at(policy('short', 'long'))
  const seen = []
  for (let i = 0; i < 5; i++) {
    const decision = limiter.acquire('a')
    seen.push(`${decision.allowed} ${decision.name}`)
    assert.equal(limiter.peek('a').name !== '', true)
    if (i === 2) clock.advance(1000)
  }
  assert.deepEqual(seen, ['true short', 'true short', 'false short', 'true long', 'false long'])
  limiter.update(policy('brief', 'wide'))
  const names = new Set()
  for (let i = 0; i < 4; i++) names.add(limiter.acquire('b').name)
  assert.ok(names.has('brief'))
  assert.deepEqual([...names].filter((name) => !['brief', 'wide'].includes(name)), [])
})

test('tryAcquire is acquire, yes or no; equal bytes are equal keys', () => {
  const { limiter } = at('3/hour')
  assert.equal(limiter.tryAcquire('é'), true)
  assert.equal(limiter.tryAcquire(Buffer.from('é')), true)
  assert.equal(limiter.tryAcquire(new TextEncoder().encode('é')), true)
  assert.equal(limiter.tryAcquire('é'), false)
  assert.equal(limiter.tryAcquire('e'), true)
})

test('keys of every length and kind of text', () => {
  const texts = ['', '\0', 'a\0b', 'a', '\x7f', '\x80', 'ÿ', 'A', '\u0141', '漢字', '😀', '\ud800']
  for (const length of [250, 251, 252, 253, 254, 255, 256, 257, 1000, 1 << 20]) {
    texts.push('x'.repeat(length), 'é'.repeat(length), '漢'.repeat(length), '😀'.repeat(length))
    texts.push('y' + '😀'.repeat(length))
  }
  const { limiter } = at('1/hour')
  for (const text of texts) {
    assert.equal(limiter.tryAcquire(text), true, `${text.length} of ${text.slice(0, 4)}`)
    assert.equal(limiter.tryAcquire(Buffer.from(text)), false, `bytes of ${text.slice(0, 4)}`)
    assert.equal(limiter.acquire(text).allowed, false)
    assert.equal(limiter.peek(text).allowed, false)
  }
  // All of them were different keys.
  assert.equal(limiter.stats().keys, new Set(texts).size)
})

test('a view of a larger buffer is its own bytes alone', () => {
  const { limiter } = at('1/hour')
  const memory = Buffer.from('xxkeyxx')
  assert.equal(limiter.tryAcquire(memory.subarray(2, 5)), true)
  assert.equal(limiter.tryAcquire('key'), false)
  assert.equal(limiter.tryAcquire(new Uint8Array(0)), true)
  assert.equal(limiter.tryAcquire(''), false)
})

test('costs: default 1, 0, the largest, bigints', () => {
  const { limiter } = at('10/hour')
  assert.equal(limiter.acquire('a', undefined).remaining, 9)
  assert.equal(limiter.acquire('a', 0).remaining, 9)
  assert.equal(limiter.acquire('a', -0).remaining, 9)
  assert.equal(limiter.acquire('a', 4n).remaining, 5)
  const never = limiter.acquire('a', Number.MAX_SAFE_INTEGER)
  assert.deepEqual(
    [never.allowed, never.reason, never.retryAfterMs, never.remaining],
    [false, 'impossible', Infinity, 5],
  )
  assert.equal(limiter.acquire('a', 2n ** 64n - 1n).reason, 'impossible')
  assert.equal(limiter.tryAcquire('a', 6), false)
  assert.equal(limiter.tryAcquire('a', 5), true)
})

test('peek changes nothing', () => {
  const { limiter } = at('10/hour')
  const peeked = limiter.peek('a', 4)
  assert.deepEqual([peeked.allowed, peeked.remaining], [true, 6])
  assert.equal(limiter.peek('a').remaining, 9)
  assert.deepEqual(limiter.acquire('a', 4), peeked)
})

test('latency is charged in milliseconds', () => {
  const { clock, limiter } = at('1s/minute')
  limiter.recordLatency('a', 400.000001)
  assert.equal(limiter.snapshotAt('a', clock.nowNs()).buckets[0].used, 400_000_001n)
  limiter.recordLatency('a', 0)
  limiter.recordLatency('a', 700)
  const denied = limiter.acquire('a')
  assert.deepEqual([denied.allowed, denied.remaining, denied.limit], [false, 0, 1e9])
  assert.equal(limiter.acquire('b').remaining, 1e9)
})

test('refund, reset, penalize', () => {
  const { limiter } = at('10/hour')
  limiter.acquire('a', 8)
  limiter.refund('a', 3)
  assert.equal(limiter.peek('a', 0).remaining, 5)
  limiter.refund('a')
  assert.equal(limiter.peek('a', 0).remaining, 6)
  limiter.penalize('a', 8)
  const [{ used, remaining, capacity }] = limiter.snapshot('a').buckets
  assert.deepEqual([used, remaining, capacity], [12, 0, 10])
  limiter.reset('a')
  assert.equal(limiter.peek('a', 0).remaining, 10)
})

test('block and its end', () => {
  const { clock, limiter } = at('10/hour')
  limiter.block('a', 1500.5)
  const blocked = limiter.acquire('a')
  assert.deepEqual(fields(blocked), {
    allowed: false,
    limit: 0,
    remaining: 0,
    retryAfterMs: 1500.5,
    resetAfterMs: 1500.5,
    name: '',
    reason: 'blocked',
  })
  assert.equal(limiter.snapshot('a').blockedForMs, 1500.5)
  clock.advance(1500.5)
  assert.equal(limiter.acquire('a').allowed, true)
  limiter.block('a', 1000)
  limiter.block('a', 0)
  assert.equal(limiter.acquire('a').allowed, true)
})

test('release gives a permit back', () => {
  const policy = { limit: [{ name: 'rooms', method: 'concurrency', quota: 1 }] }
  const { limiter } = at(policy)
  assert.equal(limiter.tryAcquire('room:1'), true)
  assert.equal(limiter.acquire('room:1').name, 'rooms')
  assert.equal(limiter.tryAcquire('room:1'), false)
  limiter.release('room:1')
  limiter.release('room:1')
  assert.equal(limiter.tryAcquire('room:1'), true)
  assert.equal(limiter.tryAcquire('room:1'), false)
})

test('reserve, settle, cancel', () => {
  const { limiter } = at('1000/hour')
  const less = limiter.reserve('a', 600)
  assert.ok(less instanceof Reservation)
  assert.deepEqual([less.decision.allowed, less.decision.remaining], [true, 400])
  less.settle(412)
  assert.equal(limiter.peek('a', 0).remaining, 588)
  assert.throws(() => less.settle(1), { name: 'Error', message: /already settled/ })
  less.cancel()
  assert.equal(limiter.peek('a', 0).remaining, 588)

  const gone = limiter.reserve('a', 500)
  gone.cancel()
  gone.cancel()
  assert.equal(limiter.peek('a', 0).remaining, 588)

  const more = limiter.reserve('a', 500)
  assert.throws(() => more.settle(-1), { name: 'RangeError', message: /^actual: / })
  more.settle(600)
  assert.equal(limiter.snapshot('a').buckets[0].used, 1012)

  const denied = limiter.reserve('a', 1)
  assert.equal(denied.decision.allowed, false)
  denied.settle(100)
  assert.equal(limiter.snapshot('a').buckets[0].used, 1012)
})

test('update keeps what was used', () => {
  const { limiter } = at({ limit: [{ name: 'a', rate: '10/hour', algorithm: 'fixed_window' }] })
  limiter.acquire('k', 4)
  limiter.update({ limit: [{ name: 'a', rate: '20/hour', algorithm: 'fixed_window' }] })
  assert.deepEqual(
    [limiter.peek('k', 0).limit, limiter.peek('k', 0).remaining],
    [20, 16],
  )
})

test('snapshot and stats', () => {
  const { clock, limiter } = at('10/hour; 1s/minute', { maxKeys: 100, name: 'api' })
  limiter.acquire('a', 4)
  limiter.acquire('a', 7)
  limiter.acquire('a', 11)
  const { blockedForMs, buckets } = limiter.snapshot('a')
  assert.equal(blockedForMs, 0)
  assert.deepEqual(
    buckets.map(({ method, quota, capacity, used, remaining, refreshAfterMs }) => [
      method,
      quota,
      capacity,
      used,
      remaining,
      refreshAfterMs,
    ]),
    [
      ['count', 10, 10, 4, 6, 1_440_000],
      ['latency', 1e9, 1e9, 0, 1e9, 0],
    ],
  )
  const exact = limiter.snapshotAt('a', clock.nowNs()).buckets[0]
  assert.deepEqual([exact.used, exact.refreshAfterNs], [4n, 1_440_000_000_000n])
  const stats = limiter.stats()
  assert.deepEqual(
    [stats.keys, stats.allowed, stats.limited, stats.impossible, stats.blocked],
    [1, 1, 1, 1, 0],
  )
  assert.ok(stats.capacity >= 100)
  assert.equal(limiter.name, 'api')
})

test('the twins with a time are exact and answer as the others', () => {
  const { clock, limiter } = at('3/second')
  const now = clock.nowNs()
  assert.equal(limiter.tryAcquireAt('a', 1, now), true)
  assert.deepEqual(limiter.acquireAt('a', 2, now), {
    allowed: true,
    limit: 3n,
    remaining: 0n,
    retryAfterNs: 0n,
    resetAfterNs: 1_000_000_000n,
    name: limiter.acquire('b').name,
    reason: 'ok',
  })
  const denied = limiter.peekAt('a', 1, now)
  assert.equal(denied.retryAfterNs > 333_333_332n && denied.retryAfterNs < 333_333_335n, true)
  assert.equal(limiter.acquire('a').retryAfterMs, Number(denied.retryAfterNs) / 1e6)
  assert.equal(limiter.acquireAt('a', 1, now + denied.retryAfterNs - 1n).allowed, false)
  assert.equal(limiter.acquireAt('a', 1, now + denied.retryAfterNs).allowed, true)
  assert.equal(limiter.acquireAt('a', 4, now).retryAfterNs, null)
  limiter.resetAt('a', now)
  limiter.penalizeAt('a', 2, now)
  limiter.refundAt('a', 1n, now)
  assert.equal(limiter.snapshotAt('a', now).buckets[0].used, 1n)
  limiter.blockAt('a', 7n, now)
  assert.equal(limiter.snapshotAt('a', now).blockedForNs, 7n)
  assert.equal(limiter.snapshotAt('a', now + 7n).blockedForNs, 0n)
  limiter.reserveAt('c', 2, now).settleAt(1, now)
  assert.equal(limiter.snapshotAt('c', now).buckets[0].used, 1n)
  limiter.reserveAt('c', 2, now).cancelAt(now)
  assert.equal(limiter.snapshotAt('c', now).buckets[0].used, 1n)
  limiter.updateAt('6/second', now)
  assert.equal(limiter.snapshotAt('c', now).buckets[0].quota, 6n)
})

test('numbers that no double holds are refused, and exact as bigints', () => {
  const { clock, limiter } = at('200d/year')
  const exact = limiter.acquireAt('a', 1, clock.nowNs())
  assert.equal(exact.limit, 200n * 86_400n * 1_000_000_000n)
  const decision = limiter.acquire('a')
  assert.equal(decision.allowed, true)
  assert.throws(() => decision.limit, { name: 'RangeError', message: /^limit: .*acquireAt/ })
  assert.throws(() => decision.remaining, { name: 'RangeError', message: /^remaining: / })
  assert.throws(() => limiter.peek('a').limit, RangeError)
  assert.throws(() => limiter.snapshot('a').buckets[0].quota, { message: /snapshotAt/ })
  assert.equal(limiter.snapshotAt('a', clock.nowNs()).buckets[0].remaining, exact.limit)
})

test('many limiters of one process do not mix', () => {
  const limiters = Array.from({ length: 200 }, (_, i) => at(`${i + 1}/hour`, { maxKeys: 16 }))
  for (const [i, { limiter }] of limiters.entries()) {
    assert.equal(limiter.acquire('a', i + 1).limit, i + 1)
  }
  for (const { limiter } of limiters) assert.equal(limiter.tryAcquire('a'), false)
})

test('a subclass can add to a call', () => {
  class Counting extends Limiter {
    calls = 0
    acquire(key, cost) {
      this.calls++
      return super.acquire(key, cost)
    }
  }
  const limiter = new Counting('1/hour')
  assert.equal(limiter.acquire('a').allowed, true)
  assert.equal(limiter.calls, 1)
})

test('ManualClock goes where it is told', () => {
  const clock = new ManualClock(START)
  assert.equal(clock.now(), START)
  clock.advance(0.000001)
  assert.equal(clock.nowNs(), BigInt(START) * 1_000_000n + 1n)
  clock.set(5)
  clock.advanceNs(7n)
  assert.equal(clock.nowNs(), 5_000_007n)
  clock.setNs(3n)
  assert.equal(clock.now(), 0.000003)
})

test('the system clock runs', () => {
  const limiter = new Limiter('1/hour', { clock: 'system' })
  assert.equal(limiter.tryAcquire('a'), true)
  const { retryAfterMs } = limiter.acquire('a')
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 3_600_000)
})

for (const clock of [undefined, 'counter', 'system', 'coarse']) {
  test(`the clock ${clock} shows the time and runs`, () => {
    const limiter = new Limiter('1000000000/second', { clock })
    // A token drips each nanosecond: a drained bucket has some again once time has passed.
    assert.equal(limiter.tryAcquire('a', 1_000_000_000), true)
    while (limiter.peek('a', 0).remaining === 0);
    limiter.block('b', 3_600_000)
    const { retryAfterMs } = limiter.peek('b')
    assert.ok(retryAfterMs > 3_000_000 && retryAfterMs <= 3_600_000)
  })
}
