'use strict'

// What a decision says besides its fields, by all ways to one; alerts.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { Limiter, ManualClock } = require('tidegate')

const START = Date.UTC(2026, 0, 1)
const TYPE = 'ERR_INVALID_ARG_TYPE'
const RANGE = 'ERR_OUT_OF_RANGE'

function at(policy, ms = START) {
  const clock = new ManualClock(ms)
  return { clock, limiter: new Limiter(policy, { clock }) }
}

const STYLES = { headers: ['legacy', 'draft', 'both'], body: ['error', 'message', 'problem'] }

// All that a decision says and that has no unit of its own.
function said(decision) {
  const { plan, shadow, message, closes, status, method, reason, name } = decision
  const headers = STYLES.headers.map((style) => decision.headers(style))
  const bodies = STYLES.body.map((style) => [decision.contentType(style), decision.body(style)])
  return { plan, shadow, message, closes, status, method, reason, name, headers, bodies }
}

const POLICY = {
  default_plan: 'free',
  limit: [
    { name: 'shy', rate: '1/day', shadow: true, when: { tag: 'shadow' } },
    { name: 'abuse', rate: '2/hour', message: 'Slow down.', close: true, when: { tag: 'abuse' } },
  ],
  plan: {
    free: {
      limit: [
        {
          name: 'minute',
          cascade: [
            { rate: '3/minute', algorithm: 'fixed_window' },
            { name: 'pool', rate: '1/second', burst: 2 },
          ],
        },
      ],
    },
  },
}

test('a decision tells plan, window, burst, shadow, message and status', () => {
  const { limiter } = at(POLICY)
  const first = limiter.acquire({ key: 'a', tag: 'shadow' })
  assert.deepEqual(
    [first.plan, first.method, first.windowMs, first.burstRemaining, first.shadow, first.madeAtMs],
    ['free', 'count', 60_000, 2, null, START],
  )
  assert.deepEqual([first.message, first.closes, first.status], [null, false, 200])
  const second = limiter.acquire({ key: 'a', tag: 'shadow' })
  assert.deepEqual([second.allowed, second.shadow], [true, 'shy'])
  // The one before it is what it was.
  assert.equal(first.shadow, null)
  limiter.acquireMany([{ key: 'b', tag: 'abuse' }, { key: 'b', tag: 'abuse' }])
  const denied = limiter.acquire({ key: 'b', tag: 'abuse' })
  assert.deepEqual(
    [denied.name, denied.plan, denied.message, denied.closes, denied.status],
    ['abuse', 'free', 'Slow down.', true, 429],
  )
  assert.equal(denied.body('message'), '{"message":"Slow down.","code":429}')
  assert.equal(denied.contentType('problem'), 'application/problem+json')
  assert.match(denied.body(), /^\{"error":\{"code":"RATE_LIMIT_EXCEEDED","message":"Slow down\."/)
  assert.equal(first.body(), '')
  limiter.block('c', 1500)
  const blocked = limiter.acquire('c')
  assert.deepEqual([blocked.plan, blocked.windowMs, blocked.burstRemaining], [null, null, null])
  assert.deepEqual(blocked.headers('both'), { 'Retry-After': '2' })
})

test('headers are a plain object, named as they are usually written', () => {
  const { limiter } = at('100/minute')
  const decision = limiter.acquire('a', 40)
  const legacy = {
    'X-RateLimit-Limit': '100',
    'X-RateLimit-Remaining': '60',
    'X-RateLimit-Reset': String(START / 1000 + 24),
  }
  assert.deepEqual(decision.headers(), legacy)
  assert.deepEqual(decision.headers('legacy'), legacy)
  assert.deepEqual(decision.headers('draft'), {
    'RateLimit-Policy': '"100/minute";q=100;w=60',
    RateLimit: '"100/minute";r=60;t=24',
  })
  assert.equal(new Headers(decision.headers('both')).get('ratelimit'), '"100/minute";r=60;t=24')
})

test('styles that do not exist are refused', () => {
  const { clock, limiter } = at('1/minute')
  for (const decision of [limiter.acquire('a'), limiter.acquireAt('a', 1, clock.nowNs())]) {
    for (const call of ['headers', 'body', 'contentType']) {
      assert.throws(() => decision[call]('fancy'), { name: 'RangeError', code: RANGE, message: /^style: .*"fancy"/, field: 'style' })
      for (const style of [null, 5, {}]) {
        assert.throws(() => decision[call](style), { name: 'TypeError', code: TYPE, message: /^style: must be a string/ })
      }
    }
  }
})

test('every way to a decision gives one that tells all', async () => {
  const ways = {
    acquireMany: (limiter, subject) => limiter.acquireMany([subject])[0],
    peek: (limiter, subject) => limiter.peek(subject),
    reserve: (limiter, subject) => limiter.reserve(subject, 1).decision,
    wait: (limiter, subject) => limiter.wait(subject, { timeoutMs: 0 }),
    measure: (limiter, subject) => limiter.measure(subject, (decision) => decision).catch((error) => error.decision),
    acquireAt: (limiter, subject, now) => limiter.acquireAt(subject, 1, now),
    acquireManyAt: (limiter, subject, now) => limiter.acquireManyAt([subject], 1, now)[0],
    peekAt: (limiter, subject, now) => limiter.peekAt(subject, 1, now),
    reserveAt: (limiter, subject, now) => limiter.reserveAt(subject, 1, now).decision,
  }
  for (const [name, way] of Object.entries(ways)) {
    for (const used of [0, 2, 4, 5]) {
      const [mine, other] = [at(POLICY), at(POLICY)]
      for (const { limiter } of [mine, other]) limiter.penalize('a', used)
      const expected = mine.limiter.acquire('a')
      const decision = await way(other.limiter, 'a', other.clock.nowNs())
      assert.deepEqual(said(decision), said(expected), `${name} after ${used}`)
      assert.equal(Number(decision.burstRemaining), expected.burstRemaining, name)
      const [windowNs, madeAtNs] = [decision.windowNs ?? decision.windowMs * 1e6, decision.madeAtNs ?? decision.madeAtMs * 1e6]
      assert.deepEqual([Number(windowNs), Number(madeAtNs)], [6e10, START * 1e6], name)
    }
  }
})

test('an exact decision tells exactly', () => {
  const { clock, limiter } = at({ limit: [{ cascade: ['1/minute', '9007199254740991/year', '9007199254740991/2 years'] }] })
  clock.setNs(1_767_225_600_123_456_789n)
  const exact = limiter.acquireAt('a', 1, clock.nowNs())
  assert.equal(exact.madeAtNs, 1_767_225_600_123_456_789n)
  assert.deepEqual([exact.windowNs, exact.burstRemaining], [60_000_000_000n, 2n ** 54n - 2n])
  // As those of a plain decision, they are told when they are asked for.
  assert.equal(Object.keys(exact).length, 7)
  assert.equal(Object.keys({ ...exact }).includes('plan'), false)
  const foreseen = limiter.peekAt('a', 1, clock.nowNs())
  const plain = limiter.acquire('a')
  assert.throws(() => plain.burstRemaining, { code: RANGE, message: /^burstRemaining: .*acquireAt/ })
  assert.throws(() => limiter.peek('a').burstRemaining, { code: RANGE })
  assert.deepEqual(said(plain), said(foreseen))
})

// A decision is kept as doubles: what they round must come back, to the nanosecond, or a second is told wrong.
test('headers and bodies are exact at any time, for any span', () => {
  const second = 1_000_000_000n
  const times = [0n, 1n, second - 1n, 1_767_225_600n * second, 4_611_686_017n * second]
  for (const policy of ['7/year', '1/3650 days', '3s/day', '200d/year', '9007199254740991/year', '10/month', { limit: [{ rate: '5/month', algorithm: 'fixed_window' }] }]) {
    const clock = new ManualClock(0)
    const [plain, exact] = [new Limiter(policy, { clock }), new Limiter(policy, { clock })]
    for (const time of times) {
      for (const off of [0n, 1n, 127n, 128n, 129n, 499_999_999n, 999_999_999n, 123_456_789n]) {
        clock.setNs(time + off)
        const cost = off === 129n ? 3n : 1n
        const [foreseen, exactly] = [plain.peek('a', cost), exact.peekAt('a', cost, clock.nowNs())]
        assert.deepEqual(said(foreseen), said(exactly), `peek of ${JSON.stringify(policy)} at ${time + off}`)
        const decision = plain.acquire('a', cost)
        const twin = exact.acquireAt('a', cost, clock.nowNs())
        assert.deepEqual(said(decision), said(twin), `${JSON.stringify(policy)} at ${time + off}`)
        plain.recordLatency('a', 333_333_333.333333)
        exact.recordLatencyAt('a', 333_333_333_333_333n, clock.nowNs())
      }
    }
  }
})

test('a decision tells the same after its limiter changed, and when it is gone', () => {
  let { limiter } = at(POLICY)
  limiter.acquire('a', 5)
  const denied = limiter.acquire('a')
  const before = said(denied)
  limiter.update('5/minute')
  limiter.acquire('a')
  limiter = undefined
  global.gc?.()
  assert.deepEqual(said(denied), before)
  assert.equal(denied.plan, 'free')
})

test('what was changed by hand does no harm', () => {
  const { limiter } = at('1/minute')
  const changes = [['reason', 'great'], ['limit', 'many'], ['limit', -1], ['remaining', 2n ** 70n], ['resetAfterMs', NaN], ['retryAfterMs', -5]]
  for (const [field, value] of changes) {
    const decision = limiter.acquire('a')
    decision[field] = value
    assert.throws(() => decision.headers(), Error, field)
  }
  const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(limiter.acquire('a')), 'plan')
  assert.throws(() => get.call({}), TypeError)
})

const ALERTING = { limit: [{ name: 'day', rate: '10/day', alerts: [0.5, 0.9] }, { name: 'time', rate: '10s/day', alerts: [0.5] }] }

test('alerts are told once a crossing, before the call returns', async () => {
  const calls = {
    tryAcquire: (limiter) => limiter.tryAcquire('k', 5),
    acquire: (limiter) => limiter.acquire('k', 5),
    acquireMany: (limiter) => limiter.acquireMany(['k', 'k'], 3),
    acquireAt: (limiter, now) => limiter.acquireAt('k', 5, now),
    tryAcquireAt: (limiter, now) => limiter.tryAcquireAt('k', 5, now),
    acquireManyAt: (limiter, now) => limiter.acquireManyAt(['k', 'k'], 3, now),
    penalize: (limiter) => limiter.penalize('k', 5),
    penalizeAt: (limiter, now) => limiter.penalizeAt('k', 5, now),
    reserve: (limiter) => limiter.reserve('k', 5),
    reserveAt: (limiter, now) => limiter.reserveAt('k', 5, now),
    settle: (limiter) => limiter.reserve('k', 1).settle(5),
    settleAt: (limiter, now) => limiter.reserveAt('k', 1, now).settleAt(5, now),
    wait: (limiter) => void limiter.wait('k', { cost: 5 }),
    measure: (limiter) => void limiter.measure('k', () => {}, { cost: 5 }),
    recordLatency: (limiter) => limiter.recordLatency('k', 5000),
    recordLatencyAt: (limiter, now) => limiter.recordLatencyAt('k', 5_000_000_000n, now),
  }
  for (const [name, call] of Object.entries(calls)) {
    const { clock, limiter } = at(ALERTING)
    const seen = []
    limiter.onAlert((alert) => seen.push(alert))
    call(limiter, clock.nowNs())
    assert.deepEqual(seen.map(({ thresholdPermille }) => thresholdPermille), [500], name)
    limiter.peek('k', 5)
    limiter.tryAcquire('other')
    assert.equal(seen.length, 1, name)
  }
})

test('an alert tells limit, plan, threshold, use and request', () => {
  const { limiter } = at({
    default_plan: 'free',
    plan: { free: { limit: [{ name: 'day', rate: '10/day', alerts: [0.999] }] } },
  })
  const seen = []
  limiter.onAlert((alert) => seen.push(alert))
  limiter.acquire({ key: Buffer.from([0xff]), route: 'GET /é' }, 10)
  assert.deepEqual(seen, [
    {
      limit: 'day',
      plan: 'free',
      method: 'count',
      thresholdPermille: 999,
      used: 10,
      capacity: 10,
      request: { key: Buffer.from([0xff]), route: 'GET /é' },
    },
  ])
})

test('the end of measured work is told, too', async () => {
  const { clock, limiter } = at(ALERTING)
  const seen = []
  limiter.onAlert(({ limit }) => seen.push(limit))
  await limiter.measure('k', () => clock.advance(6000))
  assert.deepEqual(seen, ['time'])
})

test('a listener may make any call; the decision that it is told of stays its own', () => {
  const { limiter } = at(ALERTING)
  const inner = []
  limiter.onAlert(({ request }) => {
    inner.push(limiter.acquire('other').remaining, limiter.acquireMany([request.key, 'third']).map(({ remaining }) => remaining))
    limiter.recordLatency('fourth', 1)
  })
  assert.equal(limiter.acquire('k', 5).remaining, 5)
  assert.deepEqual(inner, [9, [4, 9]])
  assert.deepEqual(limiter.acquireMany(['m', 'm', 'm'], 3).map(({ remaining }) => remaining), [7, 4, 1])
})

test('a listener that settles, waits and listens anew', async () => {
  const { limiter } = at(ALERTING)
  const reservation = limiter.reserve('k', 1)
  const seen = []
  limiter.onAlert(() => {
    seen.push('first')
    assert.throws(() => reservation.settle(9), /already settled/)
    limiter.onAlert(() => seen.push('second'))
  })
  reservation.settle(7)
  limiter.acquire('k', 2)
  assert.deepEqual(seen, ['first', 'second'])
})

test('another listener takes the place of the one before, null ends it', () => {
  const { limiter } = at(ALERTING)
  const seen = []
  limiter.onAlert(() => seen.push('a'))
  limiter.onAlert(() => seen.push('b'))
  limiter.acquire('k', 6)
  limiter.onAlert(null)
  limiter.acquire('other', 6)
  limiter.onAlert(() => seen.push('c'))
  limiter.acquire('k')
  assert.deepEqual(seen, ['b'])
  for (const listener of [undefined, 5, {}]) {
    assert.throws(() => limiter.onAlert(listener), { code: TYPE, message: /^listener: / })
  }
})

test('an error of a listener takes no decision along; it is an uncaught one', () => {
  const code = `
    const { Limiter } = require(${JSON.stringify(require.resolve('tidegate'))})
    process.on('uncaughtException', (error) => console.log('uncaught', error.message))
    process.on('unhandledRejection', (error) => console.log('unhandled', error.message))
    const limiter = new Limiter({ limit: [{ rate: '10/day', alerts: [0.5, 0.9] }] })
    limiter.onAlert(() => { throw new Error('mine') })
    console.log(limiter.acquire('k', 5).remaining, limiter.tryAcquire('l', 10))
    limiter.onAlert(async () => { throw new Error('later') })
    console.log(limiter.acquire('m', 5).remaining)
  `
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  const lines = stdout.trim().split('\n')
  assert.deepEqual(lines.slice(0, 2), ['5 true', '5'])
  assert.deepEqual(lines.slice(2).sort(), ['uncaught mine', 'uncaught mine', 'uncaught mine', 'unhandled later'])
  assert.deepEqual([status, stderr], [0, ''])
})

test('a limiter whose listener knows it is collected', async () => {
  const dropped = []
  for (let i = 0; i < 100; i++) {
    const limiter = new Limiter(ALERTING, { maxKeys: 16 })
    limiter.onAlert(() => limiter.acquire('x'))
    limiter.acquire('k', 9)
    dropped.push(new WeakRef(limiter))
  }
  for (let i = 0; i < 4; i++) {
    global.gc()
    await new Promise(setImmediate)
  }
  assert.ok(dropped.filter((ref) => ref.deref() !== undefined).length < 10)
})
