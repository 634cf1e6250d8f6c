'use strict'

// Requests with attributes, wherever a key stands; plans and reports.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const vm = require('node:vm')
const { Limiter, ManualClock, PolicyError, hashSecret } = require('tidegate')

const START = Date.UTC(2026, 0, 1)

const POLICY = {
  plan_by: 'account',
  default_plan: 'free',
  limit: [
    { name: 'all', by: ['account'], rate: '1000/day' },
    { name: 'write', rate: '3/day', when: { route: 'POST /:thing' } },
    { name: 'time', method: 'latency', rate: '10s/day', algorithm: 'fixed_window' },
    { name: 'open', method: 'concurrency', quota: 3, max_hold: '1m', when: { route: 'WS /' } },
  ],
  plan: {
    free: { limit: [{ name: 'key', rate: '10/day', algorithm: 'fixed_window' }] },
    pro: { inherits: 'free', scale: 10 },
  },
  usage: {},
}

function at(policy = POLICY) {
  const clock = new ManualClock(START)
  return { clock, limiter: new Limiter(policy, { clock }) }
}

const request = (route, more) => ({ key: 'k1', account: 'acme', route, ...more })
const read = request('GET /thing')
const write = request('POST /thing')

function usedOf(limiter, subject) {
  return Object.fromEntries(limiter.snapshot(subject).buckets.map(({ limit, used }) => [limit, used]))
}

function refuses(call, code, message, field) {
  const name = code === 'ERR_OUT_OF_RANGE' ? 'RangeError' : 'TypeError'
  assert.throws(call, { name, code, message, ...(field && { field }) }, String(call))
}

test('every call takes a request in place of a key', async () => {
  const { clock, limiter } = at()
  const now = () => clock.nowNs()
  assert.equal(limiter.tryAcquire(write), true)
  assert.equal(limiter.tryAcquireAt(write, 1, now()), true)
  assert.equal(limiter.acquire(write).remaining, 0)
  const denied = limiter.acquireAt(write, 1, now())
  assert.deepEqual([denied.allowed, denied.name], [false, 'write'])
  assert.equal(limiter.peek(write).allowed, false)
  assert.equal(limiter.peekAt(read, 1, now()).allowed, true)
  // The denied ones took nothing.
  assert.deepEqual(usedOf(limiter, write), { all: 3, write: 3, key: 3, time: 0 })
  limiter.refund(write)
  limiter.refundAt(write, 1, now())
  assert.deepEqual(usedOf(limiter, write), { all: 1, write: 1, key: 1, time: 0 })
  limiter.recordLatency(read, 1500)
  limiter.recordLatencyAt(read, 500_000_000n, now())
  limiter.penalize(read, 2)
  limiter.penalizeAt(read, 1, now())
  assert.deepEqual(usedOf(limiter, write), { all: 4, write: 1, key: 4, time: 2e9 })
  limiter.reserve(read, 5).settle(2)
  limiter.reserveAt(read, 5, now()).cancelAt(now())
  assert.equal(usedOf(limiter, read).key, 6)
  const measured = limiter.measure(read, ({ allowed }) => {
    clock.advance(1000)
    return allowed
  })
  assert.equal(await measured, true)
  assert.equal((await limiter.wait(read)).allowed, true)
  assert.deepEqual(usedOf(limiter, read), { all: 8, key: 8, time: 3e9 })
  assert.equal(limiter.snapshotAt(read, now()).buckets.length, 3)
  limiter.reset(read)
  assert.deepEqual(usedOf(limiter, read), { all: 0, key: 0, time: 0 })
  limiter.acquire(read, 5)
  limiter.resetAt(read, now())
  assert.deepEqual(usedOf(limiter, read), { all: 0, key: 0, time: 0 })
})

test('permits of a request: released, renewed, and given up when they were held too long', () => {
  const { clock, limiter } = at()
  const open = request('WS /')
  const opened = () => limiter.snapshot(open).buckets.find(({ limit }) => limit === 'open').used
  assert.equal(limiter.renew(open), false)
  limiter.acquireMany([open, open, open])
  assert.equal(opened(), 3)
  limiter.release(open)
  limiter.releaseAt(open, clock.nowNs())
  assert.equal(opened(), 1)
  clock.advance(40_000)
  assert.equal(limiter.renew(open), true)
  clock.advance(40_000)
  assert.equal(limiter.renewAt(open, clock.nowNs()), true)
  assert.equal(opened(), 1)
  clock.advance(90_000)
  assert.equal(opened(), 0)
  assert.equal(limiter.renew(open), false)
})

test('without a permit there is none to renew', async () => {
  const { limiter } = at('9/minute')
  assert.equal(await limiter.measure('a', async (_decision, held) => held.renew()), false)
})

test('what is measured renews its own permit', async () => {
  const { clock, limiter } = at()
  const seen = []
  await limiter.measure(request('WS /'), (decision, held) => {
    clock.advance(40_000)
    seen.push(held.renew())
    clock.advance(40_000)
    seen.push(held.renew())
    clock.advance(70_000)
    seen.push(held.renew())
  })
  assert.deepEqual(seen, [true, true, false])
})

test('a block is of a key, or of one attribute', () => {
  const { clock, limiter } = at()
  limiter.block({ account: 'acme' }, 1000)
  assert.equal(limiter.acquire(read).reason, 'blocked')
  assert.equal(limiter.acquire(request('GET /thing', { account: 'other' })).allowed, true)
  limiter.blockAt({ account: 'acme' }, 0n, clock.nowNs())
  assert.equal(limiter.acquire(read).allowed, true)
  limiter.block('k1', 1000)
  assert.equal(limiter.acquire(read).reason, 'blocked')
  refuses(() => limiter.block(read, 1), 'ERR_OUT_OF_RANGE', /^request: /, 'request')
})

test('values are text or bytes, and equal bytes are equal', () => {
  const { limiter } = at({ limit: [{ rate: '3/day', by: ['key', 'tag'] }] })
  const remaining = (key, tag) => limiter.acquire({ key, tag }).remaining
  assert.equal(remaining('é', 'x'), 2)
  assert.equal(remaining(Buffer.from('é'), 'x'), 1)
  assert.equal(remaining(new TextEncoder().encode('é'), Buffer.from('x')), 0)
  assert.equal(remaining('', new Uint8Array(0)), 2)
  assert.equal(remaining('x'.repeat(1000), 'y'.repeat(1000)), 2)
  assert.equal(remaining('x'.repeat(1000), 'y'.repeat(1000)), 1)
})

test('a key alone is a request whose attribute `key` it is, also among others', () => {
  const { clock, limiter } = at('9/day')
  limiter.acquire('a')
  limiter.acquire({ key: 'a' })
  const rest = limiter.acquireMany(['a', { key: 'a', other: 'x' }, Buffer.from('a'), { key: 'b' }])
  assert.deepEqual(rest.map(({ remaining }) => remaining), [6, 5, 4, 8])
  const exact = limiter.acquireManyAt([{ key: 'a' }, 'b'], 2, clock.nowNs())
  assert.deepEqual(exact.map(({ remaining }) => remaining), [2n, 6n])
})

test('plain objects are requests: of other realms, without a prototype, and with getters', () => {
  const { limiter } = at('9/day')
  const plain = [
    { key: 'a' },
    JSON.parse('{"key": "a"}'),
    Object.assign(Object.create(null), { key: 'a' }),
    vm.runInNewContext('({ key: "a" })'),
    { get key() { return 'a' } },
    new Proxy({ key: 'a' }, {}),
    Object.defineProperty({ key: 'a', [Symbol('b')]: 5 }, 'hidden', { value: 5 }),
  ]
  for (const [index, subject] of plain.entries()) {
    assert.equal(limiter.acquire(subject).remaining, 8 - index)
  }
  // What a getter throws goes through, and what it calls does no harm.
  const failing = { get key() { throw new RangeError('mine') } }
  const calling = { get key() { return limiter.acquire('b', 2) && 'a' } }
  for (const call of [() => limiter.acquire(failing), () => limiter.acquireMany(['a', failing]), () => limiter.peek(failing)]) {
    assert.throws(call, { name: 'RangeError', message: 'mine' })
  }
  assert.equal(limiter.acquire(calling).remaining, 1)
  assert.deepEqual(limiter.acquireMany(['b', calling]).map(({ remaining }) => remaining), [4, 0])
})

test('what is no request is refused by name, in every call', () => {
  const { clock, limiter } = at()
  const TYPE = 'ERR_INVALID_ARG_TYPE'
  class Request {
    key = 'a'
  }
  const cases = [
    [{}, /^key: must be a string or a Uint8Array, not an object without attributes; give who is limited, or a plain object/],
    [new Request(), /^key: .*not an object of a class/],
    [new Map([['key', 'a']]), /^key: .*not an object of a class/],
    [[['key', 'a']], /^key: .*not an array/],
    [new Date(), /^key: .*not an object of a class/],
  ]
  const values = [undefined, null, 5, 5n, true, {}, ['a'], () => {}, Symbol('a'), new Uint16Array(1)]
  for (const value of values) cases.push([{ key: 'a', route: value }, /^key\.route: must be a string or a Uint8Array, not /])
  cases.push([{ key: new Uint8Array(new SharedArrayBuffer(3)) }, /^key\.key: .*shared memory/])
  for (const [subject, message] of cases) {
    const now = clock.nowNs()
    for (const call of [
      () => limiter.tryAcquire(subject),
      () => limiter.acquire(subject),
      () => limiter.recordLatency(subject, 1),
      () => limiter.peek(subject),
      () => limiter.refund(subject),
      () => limiter.release(subject),
      () => limiter.renew(subject),
      () => limiter.reset(subject),
      () => limiter.block(subject, 1),
      () => limiter.penalize(subject, 1),
      () => limiter.reserve(subject, 1),
      () => limiter.snapshot(subject),
      () => limiter.planOf(subject),
      () => limiter.usage(subject),
      () => limiter.acquireAt(subject, 1, now),
    ]) {
      refuses(call, TYPE, message)
    }
    const inBatch = new RegExp(message.source.replace(/^\^key/, '^keys\\[1\\]'))
    refuses(() => limiter.acquireMany([read, subject]), TYPE, inBatch)
  }
  assert.equal(usedOf(limiter, read).key, 0)
})

test('what the policy cannot decide about is refused by the attribute, spelt as it is', async () => {
  const { limiter } = at({
    limit: [{ rate: '9/day', by: ['account_id'] }, { rate: '8/day', by: [] , when: { ip: '10.0.0.0/8' } }],
    plan: { free: { limit: [{ name: 'day', rate: '7/day' }] } },
  })
  const RANGE = 'ERR_OUT_OF_RANGE'
  const whole = { account_id: 'a', key: 'k', plan: 'free' }
  assert.equal(limiter.acquire(whole).allowed, true)
  const wrong = [
    [{ key: 'k', plan: 'free' }, /^account_id: /, 'account_id'],
    [{ account_id: 'a', plan: 'free' }, /^key: the request has none/, 'key'],
    [{ account_id: 'a', key: 'k' }, /^plan: /, 'plan'],
    [{ ...whole, plan: 'gold' }, /^plan: .*"gold".*"free"/, 'plan'],
    [{ ...whole, ip: '10.0.0' }, /^ip: /, 'ip'],
    [{ key: 'k' }, /^plan: the request has none/, 'plan'],
    ['k', /^plan: the request has none/, 'plan'],
  ]
  for (const [subject, message, field] of wrong) {
    refuses(() => limiter.acquire(subject), RANGE, message, field)
    refuses(() => limiter.peek(subject), RANGE, message, field)
    refuses(() => limiter.acquireMany([subject]), RANGE, message, field)
    refuses(() => limiter.recordLatency(subject, 1), RANGE, message, field)
    await assert.rejects(limiter.wait(subject), { code: RANGE, message, field })
    await assert.rejects(limiter.measure(subject, () => {}), { code: RANGE, message, field })
    // Yes or no: no.
    assert.equal(limiter.tryAcquire(subject), false)
  }
  // Those before it in a batch were decided.
  refuses(() => limiter.acquireMany([whole, wrong[0][0], whole]), RANGE, /^account_id: /)
  assert.equal(limiter.peek(whole, 0).remaining, 5)
})

test('a request with many attributes', () => {
  const { limiter } = at({ limit: [{ rate: '2/day', by: ['a0', 'a39'] }] })
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`a${i}`, `value ${i}`]))
  assert.equal(limiter.acquire(many).remaining, 1)
  assert.equal(limiter.acquire({ a0: 'value 0', a39: 'value 39' }).remaining, 0)
  assert.equal(limiter.acquire({ ...many, a39: 'other' }).remaining, 1)
})

test('plans are assigned while running, for good and for a time', () => {
  const { clock, limiter } = at()
  assert.equal(limiter.planOf(read), 'free')
  assert.equal(limiter.planOf('k1'), 'free')
  limiter.assign('acme', 'pro', { durationMs: 1000.5 })
  assert.deepEqual([limiter.planOf(read), limiter.acquire(read).plan], ['pro', 'pro'])
  assert.equal(limiter.planOf(request('GET /', { account: 'other' })), 'free')
  clock.advance(1000.4)
  assert.equal(limiter.planOf(read), 'pro')
  clock.advance(0.1)
  assert.equal(limiter.planOf(read), 'free')
  limiter.assign(Buffer.from('acme'), 'pro')
  clock.advance(1e10)
  assert.equal(limiter.planOf(read), 'pro')
  limiter.unassign('acme')
  assert.equal(limiter.planOf(read), 'free')
  limiter.assignAt('acme', 'pro', 5n, clock.nowNs())
  const soon = [4n, 5n].map((span) => limiter.planOfAt(read, clock.nowNs() + span))
  assert.deepEqual(soon, ['pro', 'free'])
  clock.advanceNs(4n)
  assert.equal(limiter.planOf(read), 'pro')
  clock.advanceNs(1n)
  assert.equal(limiter.planOf(read), 'free')
  limiter.assignAt('acme', 'pro', null, clock.nowNs())
  assert.equal(limiter.planOf(read), 'pro')
  assert.equal(at('1/day').limiter.planOf('k'), null)
})

test('a plan that comes lets a waiter in', async () => {
  const { limiter } = at()
  limiter.acquire(read, 10)
  const waiting = limiter.wait(read)
  limiter.assign('acme', 'pro')
  assert.equal((await waiting).allowed, true)
})

test('assignments that cannot be are refused', () => {
  const { clock, limiter } = at()
  const [TYPE, RANGE] = ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']
  refuses(() => limiter.assign('acme', 'gold'), RANGE, /^plan: .*"gold".*"free", "pro"/, 'plan')
  refuses(() => at('1/day').limiter.assign('acme', 'gold'), RANGE, /^plan: /, 'plan')
  refuses(() => limiter.assign('acme', 5), TYPE, /^plan: /)
  refuses(() => limiter.assign(5, 'pro'), TYPE, /^value: must be a string or a Uint8Array, not a number/)
  refuses(() => limiter.assign({ account: 'acme' }, 'pro'), TYPE, /^value: /)
  refuses(() => limiter.unassign(undefined), TYPE, /^value: /)
  refuses(() => limiter.assign('acme', 'pro', { durationMs: -1 }), RANGE, /^durationMs: /)
  refuses(() => limiter.assign('acme', 'pro', { durationMs: '1' }), TYPE, /^durationMs: /)
  assert.throws(() => limiter.assign('acme', 'pro', { duration: 1 }), { message: /did you mean durationMs\?/ })
  refuses(() => limiter.assignAt('acme', 'pro', 5, clock.nowNs()), TYPE, /^durationNs: /)
  refuses(() => limiter.assignAt('acme', 'pro', null, 5), TYPE, /^nowNs: /)
  assert.equal(limiter.planOf(read), 'free')
})

test('a report of use, by kind of call', () => {
  const { clock, limiter } = at()
  limiter.acquire(read, 3)
  limiter.acquire(write, 2)
  clock.advance(3_700_000)
  limiter.acquire(read, 1)
  assert.deepEqual(limiter.usage(read), {
    plan: 'free',
    windowMs: 86_400_000,
    total: 6,
    byKind: [
      { kind: 'GET /thing', units: 4 },
      { kind: 'POST /thing', units: 2 },
    ],
    limit: { name: 'key', quota: 10, remaining: 4, utilizationPermille: 600 },
    dropped: 0,
  })
  const hour = limiter.usageAt(read, 1n, clock.nowNs())
  assert.deepEqual([hour.windowNs, hour.total, hour.limit.quota], [1n, 1n, 10n])
  assert.equal(limiter.usage(read, { windowMs: 1 }).total, 1)
  assert.equal(limiter.usageAt(read, null, clock.nowNs()).total, 6n)
  const bare = at({ limit: [{ method: 'concurrency', quota: 1 }], usage: {} })
  assert.deepEqual([bare.limiter.usage(read).plan, bare.limiter.usage(read).limit], [null, null])
})

test('reports that cannot be are refused', () => {
  const { clock, limiter } = at()
  const [TYPE, RANGE] = ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']
  refuses(() => at('1/day').limiter.usage('k'), RANGE, /^usage: /, 'usage')
  refuses(() => limiter.usage('k'), RANGE, /^account: /, 'account')
  refuses(() => limiter.usage(read, { windowMs: -1 }), RANGE, /^windowMs: /)
  refuses(() => limiter.usage(read, { windowMs: '1' }), TYPE, /^windowMs: /)
  assert.throws(() => limiter.usage(read, { window: 1 }), { message: /did you mean windowMs\?/ })
  refuses(() => limiter.usageAt(read, 1, clock.nowNs()), TYPE, /^windowNs: /)
  refuses(() => limiter.usageAt(read, 1n), TYPE, /^nowNs: /)
})

test('secrets: the line for a policy, and who has one passes', () => {
  const line = hashSecret('open sesame')
  assert.match(line, /^sha256:41ef4bb0b23661e66301aac36066912d[0-9a-f]{32}$/)
  const bypass = [{ name: 'dev', attribute: 'dev_key', secrets: [line] }]
  const { limiter } = at({ limit: [{ rate: '1/day' }], bypass })
  limiter.acquire('k')
  assert.equal(limiter.acquire({ key: 'k', dev_key: 'open sesame' }).reason, 'bypass')
  assert.equal(limiter.acquire({ key: 'k', dev_key: 'open sesami' }).reason, 'limited')
  for (const secret of [undefined, 5, Buffer.from('a')]) refuses(() => hashSecret(secret), 'ERR_INVALID_ARG_TYPE', /^secret: /)
  assert.throws(() => at({ limit: [{ rate: '1/day' }], bypass: [{ ...bypass[0], secrets: ['plain'] }] }), PolicyError)
})
