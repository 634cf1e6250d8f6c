'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { getEventListeners } = require('node:events')
const tidegate = require('tidegate')
const { Limiter, ManualClock, Pacer } = tidegate

const START = Date.UTC(2026, 0, 1)

function paced(limits, options) {
  const clock = new ManualClock(START)
  return { clock, pacer: new Pacer(limits, { clock, ...options }) }
}

// All microtasks and callbacks that are due have run.
const idle = () => new Promise(setImmediate)

// How far each promise is.
async function states(promises) {
  promises.forEach((promise) => promise.catch(() => {}))
  await idle()
  return Promise.all(promises.map((promise) => Promise.race([promise, '…']).catch((error) => error.name)))
}

const answer = (status, headers = {}) => new Response(null, { status, headers })
const refused = (seconds) => answer(429, seconds === undefined ? {} : { 'retry-after': String(seconds) })

// Answers by turns, the last one for ever, with the times at which they were asked for.
function server(clock, ...turns) {
  const times = []
  const work = async () => {
    times.push(clock.now() - START)
    return turns[Math.min(times.length, turns.length) - 1]()
  }
  return Object.assign(work, { times })
}

// Moves the clock until the promise is settled.
async function until(clock, promise, stepMs = 100) {
  let settled = false
  const mark = () => {
    settled = true
  }
  promise.then(mark, mark)
  for (let steps = 0; !settled; steps++) {
    assert.ok(steps < 10_000, 'never settled')
    await idle()
    if (!settled) clock.advance(stepMs)
  }
  return promise
}

test('calls go at the pace of the limit, in order', async () => {
  const { clock, pacer } = paced('2/second', { headroom: 0 })
  const calls = [1, 2, 3, 4].map((n) => pacer.run(async () => n))
  assert.deepEqual(await states(calls), [1, 2, '…', '…'])
  clock.advance(499)
  assert.deepEqual(await states(calls), [1, 2, '…', '…'])
  clock.advance(1)
  assert.deepEqual(await states(calls), [1, 2, 3, '…'])
  clock.advance(500)
  assert.deepEqual(await states(calls), [1, 2, 3, 4])
})

test('every attempt pays, retries too', async () => {
  const { clock, pacer } = paced('10/hour', { headroom: 0, baseMs: 0 })
  const work = server(clock, () => refused(1), () => refused(1), () => answer(200))
  await until(clock, pacer.run(work), 60_000)
  assert.equal(work.times.length, 3)
  assert.equal(pacer.stats().attempts, 3)
  const limiter = new Limiter('10/hour', { clock: new ManualClock(START) })
  const over = new Pacer(limiter, { key: 'a', baseMs: 0 })
  await over.run(() => answer(404))
  assert.equal(limiter.snapshot('a').buckets[0].remaining, 9)
  await over.run(() => 1, { cost: 5 })
  assert.equal(limiter.snapshot('a').buckets[0].remaining, 4)
})

test('a 429 pauses everyone, for no longer than the server says', async () => {
  const { clock, pacer } = paced(undefined, { baseMs: 0 })
  const first = pacer.run(server(clock, () => refused(5), () => answer(200)))
  await idle()
  const others = [pacer.run(() => 'a'), pacer.run(() => 'b')]
  clock.advance(4999)
  assert.deepEqual(await states(others), ['…', '…'])
  clock.advance(1)
  assert.equal((await first).status, 200)
  assert.deepEqual(await states(others), ['a', 'b'])
})

test('the slot is free while a call sleeps', async () => {
  const { clock, pacer } = paced(undefined, { concurrency: 1, baseMs: 1000, seed: 3 })
  const classify = ({ status }) => (status === 500 ? 'retry' : undefined)
  const sleeper = new Pacer(undefined, { clock, concurrency: 1, baseMs: 1000, seed: 3, classify })
  const first = sleeper.run(server(clock, () => answer(500), () => answer(200)))
  await idle()
  assert.deepEqual(await states([sleeper.run(() => 'in between')]), ['in between'])
  assert.equal(sleeper.stats().waiting, 1)
  assert.equal((await until(clock, first)).status, 200)
  assert.equal(pacer.stats().calls, 0)
})

test('at most `concurrency` calls are under way', async () => {
  const { pacer } = paced(undefined, { concurrency: 3 })
  let now = 0
  let most = 0
  const ends = []
  const work = () => {
    most = Math.max(most, ++now)
    return new Promise((resolve) => ends.push(resolve)).then(() => now--)
  }
  const calls = Array.from({ length: 10 }, () => pacer.run(work))
  while (ends.length < 10) {
    await idle()
    assert.ok(now <= 3)
    ends.forEach((end) => end())
  }
  await Promise.all(calls)
  assert.equal(most, 3)
  assert.equal(pacer.stats().waits.concurrency, 7)
})

test('a delay above maxRetryAfterMs raises at once', async () => {
  const { clock, pacer } = paced(undefined, { maxRetryAfterMs: 10_000 })
  const work = server(clock, () => refused(11))
  const call = pacer.run(work, { label: 'list' })
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof tidegate.RetryAfterTooLongError && error instanceof tidegate.PacerError)
    assert.equal(error.code, 'ERR_RETRY_AFTER_TOO_LONG')
    assert.deepEqual([error.retryAfterMs, error.maxMs, error.attempts, error.label], [11_000, 10_000, 1, 'list'])
    assert.match(error.message, /^list: .*maxRetryAfterMs \(10s\)/)
    assert.equal(error.cause.status, 429)
    return true
  })
  assert.deepEqual(work.times, [0])
})

test('the wait is the server delay and jitter on top', async () => {
  const times = []
  for (let seed = 1; seed <= 12; seed++) {
    const { clock, pacer } = paced(undefined, { baseMs: 1000, seed })
    const work = server(clock, () => refused(3), () => answer(200))
    await until(clock, pacer.run(work), 20)
    times.push(work.times[1])
  }
  assert.ok(times.every((time) => time >= 3000 && time <= 4020), String(times))
  assert.ok(Math.max(...times) - Math.min(...times) > 300, String(times))
})

test('all but a 429 passes at once, unchanged', async () => {
  const { pacer } = paced(undefined, { maxForbidden: 0 })
  for (const status of [200, 204, 301, 400, 403, 404, 409, 500, 502, 503]) {
    const response = answer(status)
    let attempts = 0
    const given = await pacer.run(() => (attempts++, response))
    assert.equal(given, response)
    assert.equal(attempts, 1, String(status))
  }
  const error = new TypeError('fetch failed')
  await assert.rejects(pacer.run(() => Promise.reject(error)), (given) => given === error)
  await assert.rejects(pacer.run(() => { throw error }), (given) => given === error)
  for (const value of [undefined, null, 0, 'text', { status: 'active' }, { status: 429 }]) {
    assert.equal(await pacer.run(() => value), value)
  }
  assert.equal(pacer.stats().retries, 0)
})

test('a rejection that carries a 429 is tried again; another one passes', async () => {
  const headers = { 'retry-after': '2' }
  const carriers = [
    { response: { status: 429, headers } },
    { response: { statusCode: 429, headers } },
    { status: 429, headers },
    { $response: { statusCode: 429, headers } },
  ]
  for (const fields of carriers) {
    const { clock, pacer } = paced(undefined, { baseMs: 0 })
    const thrown = Object.assign(new Error('too many'), fields)
    const work = server(clock, () => { throw thrown }, () => 'done')
    assert.equal(await until(clock, pacer.run(work)), 'done')
    assert.deepEqual(work.times, [0, 2000])
  }
  const { clock, pacer } = paced(undefined, { baseMs: 0, maxRetries: 1 })
  const thrown = Object.assign(new Error('too many'), carriers[0])
  await assert.rejects(until(clock, pacer.run(() => Promise.reject(thrown))), (error) => error.cause === thrown)
  const missing = Object.assign(new Error('not found'), { response: { status: 404, headers } })
  await assert.rejects(until(clock, pacer.run(() => Promise.reject(missing))), (error) => error === missing)
})

test('exhausted retries say how many and whose', async () => {
  const { clock, pacer } = paced(undefined, { baseMs: 10 })
  const last = refused()
  const call = pacer.run(server(clock, () => refused(), () => last), { label: 'charge', maxRetries: 2 })
  await assert.rejects(until(clock, call), (error) => {
    assert.ok(error instanceof tidegate.RetriesExhaustedError)
    assert.deepEqual([error.attempts, error.label, error.status], [3, 'charge', 429])
    assert.equal(error.cause, last)
    assert.match(error.message, /charge: .*3 attempts/)
    return true
  })
  assert.equal(pacer.stats().exhausted, 1)
})

test('a refused credential stops everybody and says so (R4)', async () => {
  const { clock, pacer } = paced('1/minute', { breakerCooldownMs: 30_000 })
  const first = pacer.run(() => answer(401))
  const others = [pacer.run(() => 1), pacer.run(() => 2)]
  assert.equal((await first).status, 401)
  for (const other of others) {
    await assert.rejects(other, (error) => {
      assert.ok(error instanceof tidegate.BreakerOpenError)
      assert.deepEqual([error.reason, error.status, error.retryAfterMs], ['authentication', 401, 30_000])
      assert.match(error.message, /credential/)
      return true
    })
  }
  let sent = 0
  await assert.rejects(pacer.run(() => sent++), { code: 'ERR_BREAKER_OPEN' })
  assert.equal(sent, 0)
  clock.advance(60_000)
  assert.equal(await pacer.run(() => 'tried'), 'tried')
  pacer.reset()
})

test('reset closes the breaker', async () => {
  const { pacer } = paced()
  await pacer.run(() => answer(401))
  await assert.rejects(pacer.run(() => 1), tidegate.BreakerOpenError)
  pacer.reset()
  assert.equal(await pacer.run(() => 1), 1)
})

test('a deadline that cannot be met gives up at once', async () => {
  const { clock, pacer } = paced('1/second', { headroom: 0, deadlineMs: 1500 })
  await pacer.run(() => 1)
  const calls = [pacer.run(() => 2), pacer.run(() => 3, { label: 'late' })]
  clock.advance(1000)
  assert.deepEqual(await states(calls), [2, 'DeadlineExceededError'])
  await assert.rejects(calls[1], { code: 'ERR_DEADLINE_EXCEEDED', label: 'late', attempts: 0 })
  await assert.rejects(pacer.run(() => 4, { deadlineMs: 1 }), tidegate.DeadlineExceededError)
})

test('an aborted call leaves at once and takes nothing', async () => {
  const { clock, pacer } = paced('1/second', { headroom: 0 })
  await pacer.run(() => 1)
  const controller = new AbortController()
  const { signal } = controller
  const gone = pacer.run(() => assert.fail('was sent'), { signal })
  const next = pacer.run(() => 'next')
  await idle()
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(gone, (error) => error === reason)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  clock.advance(1000)
  assert.equal(await next, 'next')
  assert.deepEqual([pacer.stats().waiting, pacer.stats().inFlight], [0, 0])
  await assert.rejects(pacer.run(() => assert.fail('was sent'), { signal }), (error) => error === reason)
  const sleeping = new AbortController()
  const retried = pacer.run(() => refused(5), { signal: sleeping.signal })
  clock.advance(1000)
  await idle()
  sleeping.abort(reason)
  await assert.rejects(until(clock, retried), (error) => error === reason)
})

test('a call that waits listens no more once it is over', async () => {
  const { clock, pacer } = paced('1/second', { headroom: 0 })
  const { signal } = new AbortController()
  const calls = [1, 2].map((n) => pacer.run(() => n, { signal }))
  clock.advance(1000)
  assert.deepEqual(await until(clock, Promise.all(calls)), [1, 2])
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('work is told its attempt and its signal', async () => {
  const { clock, pacer } = paced(undefined, { baseMs: 0 })
  const { signal } = new AbortController()
  const seen = []
  await until(clock, pacer.run((context) => (seen.push(context), context.attempt < 3 ? refused(1) : 1), { signal }))
  assert.deepEqual(seen, [1, 2, 3].map((attempt) => ({ attempt, signal })))
})

test('headers are understood in every form', async () => {
  const forms = [
    new Headers({ 'Retry-After': '7' }),
    { 'Retry-After': '7' },
    { 'retry-after': 7 },
    { 'retry-after': ['7'] },
    new Map([['RETRY-AFTER', '7']]),
    [['Retry-After', '7']],
    ['Retry-After', '7'],
    [Buffer.from('Retry-After'), Buffer.from('7')],
    Object.assign(Object.create(null), { 'retry-after': '7', other: undefined }),
  ]
  for (const headers of forms) {
    assert.equal(tidegate.readHeaders(headers).retryAfterMs, 7000)
    const { clock, pacer } = paced(undefined, { baseMs: 0 })
    const work = server(clock, () => ({ statusCode: 429, headers }), () => 'done')
    assert.equal(await until(clock, pacer.run(work), 1000), 'done')
    assert.deepEqual(work.times, [0, 7000])
  }
})

test('classify has the last word', async () => {
  const seen = []
  const classify = (given) => {
    seen.push(given)
    const { result, error } = given
    if (result?.code === 'QUOTA') return 'limited'
    return error?.code === 'ECONNRESET' ? 'retry' : undefined
  }
  const { clock, pacer } = paced(undefined, { baseMs: 10, classify })
  const broken = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
  const work = server(clock, () => ({ code: 'QUOTA' }), () => { throw broken }, () => 'done')
  assert.equal(await until(clock, pacer.run(work), 10), 'done')
  assert.deepEqual(seen.map(({ result, error }) => result ?? error), [{ code: 'QUOTA' }, broken, 'done'])
  assert.deepEqual([pacer.stats().retries, pacer.stats().limited], [2, 1])
  const odd = new Pacer(undefined, { concurrency: 1, classify: () => 'maybe' })
  await assert.rejects(odd.run(() => 1), { name: 'TypeError', message: /classify: gave 'maybe'; give undefined or/ })
  const thrower = new Pacer(undefined, { concurrency: 1, classify: () => { throw broken } })
  for (let call = 0; call < 3; call++) await assert.rejects(thrower.run(() => 1), (error) => error === broken)
  assert.equal(thrower.stats().inFlight, 0)
})

test('events and stats tell what happened (C5, R2)', async () => {
  const events = []
  const near = []
  const { clock, pacer } = paced('5/second', {
    baseMs: 0,
    headroom: 0,
    onEvent: (event) => events.push(event.kind),
    onNearLimit: (event) => near.push([event.name, event.limit, event.remaining, event.resetAfterMs]),
  })
  const quota = { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '60' }
  await pacer.run(() => answer(200, quota))
  await until(clock, pacer.run(server(clock, () => refused(2), () => answer(200))))
  await until(clock, pacer.run(() => answer(401)))
  pacer.reset()
  assert.deepEqual(events, ['near_limit', 'pause', 'retry', 'breaker_opened', 'breaker_closed'])
  assert.deepEqual(near.map((one) => one.slice(1)), [[100, 3, 60_000]])
  const { waitMs, waits, ...counts } = pacer.stats()
  assert.deepEqual(counts, {
    calls: 3,
    attempts: 4,
    retries: 1,
    limited: 1,
    pauses: 1,
    exhausted: 0,
    breakerOpened: 1,
    inFlight: 0,
    waiting: 0,
  })
  assert.ok(waitMs >= 2000, String(waitMs))
  assert.equal(typeof waits, 'object')
})

test('a listener may make calls, and its errors are nobody else’s', async (t) => {
  let inner
  const { clock, pacer } = paced(undefined, {
    baseMs: 0,
    onEvent: (event) => {
      if (event.kind === 'retry') inner = pacer.run(() => 'inner')
    },
  })
  // Without a delay: the listener's own call lets the outer one go before it stands in line.
  for (const seconds of [1, undefined]) {
    const work = server(clock, () => refused(seconds), () => 'outer')
    assert.equal(await until(clock, pacer.run(work)), 'outer')
    assert.equal(await until(clock, inner), 'inner')
  }
  const thrown = new Error('of a listener')
  const caught = []
  const listener = (error) => caught.push(error)
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', listener)
  t.after(() => {
    process.removeListener('uncaughtException', listener)
    before.forEach((one) => process.on('uncaughtException', one))
  })
  const other = paced(undefined, { onEvent: () => { throw thrown } }).pacer
  assert.equal((await other.run(() => answer(401))).status, 401)
  await idle()
  assert.deepEqual(caught, [thrown])
})

test('observe learns from responses of others', async () => {
  const { clock, pacer } = paced()
  pacer.observe(refused(10))
  const call = pacer.run(() => 'later')
  clock.advance(9999)
  assert.deepEqual(await states([call]), ['…'])
  clock.advance(1)
  assert.equal(await call, 'later')
  const { clock: other, pacer: quota } = paced()
  quota.observe({ 'RateLimit-Remaining': '0', 'RateLimit-Limit': '10', 'RateLimit-Reset': '4' })
  const held = quota.run(() => 'held')
  assert.deepEqual(await states([held]), ['…'])
  other.advance(4000)
  assert.equal(await held, 'held')
  assert.throws(() => quota.observe('nothing'), { name: 'TypeError', message: /^headers: must be Headers/ })
})

test('a closed pacer lets nobody go', async () => {
  const { pacer } = paced('1/hour')
  await pacer.run(() => 1)
  const waiting = pacer.run(() => 2)
  pacer.close()
  await assert.rejects(waiting, { name: 'PacerError', code: 'ERR_PACER_CLOSED' })
  await assert.rejects(pacer.run(() => 3), { code: 'ERR_PACER_CLOSED' })
})

test('a cost that can never fit fails at once', async () => {
  const { pacer } = paced('5/hour', { headroom: 0 })
  await assert.rejects(pacer.run(() => 1, { cost: 6 }), {
    name: 'PacerError',
    code: 'ERR_PACER_IMPOSSIBLE',
    limit: '5/hour',
  })
  assert.equal(await pacer.run(() => 1, { cost: 5n }), 1)
})

test('a limiter is shared, with its clock, and tells its alerts', async () => {
  const clock = new ManualClock(START)
  const policy = { limit: [{ name: 'api', rate: '2/second', alerts: [0.5] }] }
  const limiter = new Limiter(policy, { clock })
  const alerts = []
  limiter.onAlert((alert) => alerts.push(alert.limit))
  const pacer = new Pacer(limiter, { key: 'us' })
  assert.equal(await pacer.run(() => 1), 1)
  assert.deepEqual(alerts, ['api'])
  limiter.acquire('us')
  const held = pacer.run(() => 2)
  assert.deepEqual(await states([held]), ['…'])
  clock.advance(500)
  assert.equal(await held, 2)
})

test('a limiter that cannot decide refuses the call itself', async () => {
  const limiter = new Limiter({ limit: [{ name: 'a', rate: '2/second', by: ['account'] }] })
  const pacer = new Pacer(limiter, { key: { user: 'x' } })
  await assert.rejects(pacer.run(() => 1), { name: 'RangeError', field: 'account' })
  assert.equal(await new Pacer(limiter, { key: { account: 'x' } }).run(() => 1), 1)
})

test('wrong options are refused by name', async () => {
  const limiter = new Limiter('1/second')
  const bad = [
    [[undefined, { maxRetry: 1 }], { name: 'TypeError', message: /^maxRetry: no such option; did you mean maxRetries/ }],
    [[undefined, { concurrency: 0 }], { name: 'RangeError', message: /^concurrency: 0 calls/ }],
    [[undefined, { concurrency: 1.5 }], { name: 'RangeError', message: /^concurrency: 1.5 is not whole/ }],
    [[undefined, { concurrency: 2 ** 40 }], { name: 'RangeError', message: /^concurrency: / }],
    [[undefined, { concurrency: -1 }], { name: 'RangeError', message: /^concurrency: -1 is negative; .* from 1 to 1000000$/ }],
    [[undefined, { concurrency: 2 ** 32 }], { name: 'RangeError', message: /^concurrency: 4294967296 .* from 1 to 1000000$/ }],
    // The core's own range is the same.
    [[undefined, { concurrency: 1e6 + 1 }], { name: 'RangeError', message: /^concurrency: 1000001 calls at once; give 1 to 1000000$/ }],
    [[undefined, { nearLimit: -1 }], { name: 'RangeError', message: /^nearLimit: -1 is negative; .* from 0 to 1000$/ }],
    [[undefined, { headroom: -1 }], { name: 'RangeError', message: /^headroom: -1 is negative; .* from 0 to 9007199254740991$/ }],
    ...['maxRetries', 'maxUnauthorized', 'maxForbidden', 'maxFailures'].flatMap((name) => [
      [[undefined, { [name]: 2 ** 32 }], { name: 'RangeError', message: `${name}: 4294967296 is too large; give a whole number from 0 to 4294967295` }],
      [[undefined, { [name]: -1 }], { name: 'RangeError', message: `${name}: -1 is negative; give a whole number from 0 to 4294967295` }],
      [[undefined, { [name]: NaN }], { name: 'RangeError', message: new RegExp(`^${name}: NaN is not a number`) }],
    ]),
    [[undefined, { baseMs: -1 }], { name: 'RangeError', message: /^baseMs: -1 is negative/ }],
    [[undefined, { nearLimit: 1001 }], { name: 'RangeError', message: /^nearLimit: 1001 thousandths/ }],
    [[undefined, { deadlineMs: '5' }], { name: 'TypeError', message: /^deadlineMs: must be a number/ }],
    [[undefined, { clock: 'sundial' }], { name: 'RangeError', message: /^clock: / }],
    [[undefined, { key: 'a' }], { name: 'TypeError', message: /^key: is of no use without a Limiter/ }],
    [[undefined, { onEvent: 1 }], { name: 'TypeError', message: /^onEvent: must be a function/ }],
    [[limiter], { name: 'TypeError', message: /^key: is missing/ }],
    [[limiter, { key: 'a', clock: 'system' }], { name: 'TypeError', message: /^clock: the limiter has its own/ }],
    [['1/fortnight'], { name: 'PolicyError' }],
    [[5], { name: 'TypeError', message: /^policy: / }],
  ]
  for (const [args, error] of bad) assert.throws(() => new Pacer(...args), error, JSON.stringify(args[1]))
  const pacer = new Pacer()
  const calls = [
    [[1], { name: 'TypeError', message: /^work: must be a function/ }],
    [[() => 1, []], { name: 'TypeError', message: /^options: must be an object, not an array/ }],
    [[() => 1, null], { name: 'TypeError', message: /^options: must be an object, not null/ }],
    [[() => 1, { label: 5 }], { name: 'TypeError', message: /^label: must be a string/ }],
    [[() => 1, { lable: 'x' }], { name: 'TypeError', message: /did you mean label/ }],
    [[() => 1, { cost: -1 }], { name: 'RangeError', message: /^cost: -1 is negative/ }],
    [[() => 1, { cost: 'x' }], { name: 'TypeError', message: /^cost: must be a whole number/ }],
    [[() => 1, { maxRetries: 0.5 }], { name: 'RangeError', message: /^maxRetries: 0.5 is not whole/ }],
    [[() => 1, { maxRetries: 2 ** 32 }], { name: 'RangeError', message: /^maxRetries: 4294967296 is too large; .* from 0 to 4294967295$/ }],
    [[() => 1, { maxRetries: 1e300 }], { name: 'RangeError', message: /^maxRetries: 1e\+?300 is beyond 2\^53/ }],
    [[() => 1, { deadlineMs: NaN }], { name: 'RangeError', message: /^deadlineMs: NaN/ }],
    [[() => 1, { signal: {} }], { name: 'TypeError', message: /^signal: must be an AbortSignal/ }],
  ]
  for (const [args, error] of calls) await assert.rejects(pacer.run(...args), error)
  assert.deepEqual([pacer.stats().inFlight, pacer.stats().waiting], [0, 0])
  assert.equal(await pacer.run(() => 1, { maxRetries: 2 ** 32 - 1 }), 1)
  assert.equal(new Pacer(undefined, { concurrency: 1e6, maxRetries: 2 ** 32 - 1 }).concurrency, 1e6)
  assert.throws(() => pacer.wrap('x'), { name: 'TypeError' })
  assert.throws(() => pacer.wrap(() => 1, { lable: 1 }), { name: 'TypeError' })
})

test('wrap keeps arguments, `this` and the name', async () => {
  const pacer = new Pacer()
  const client = { base: 'b', async get(path) { return this.base + path } }
  client.get = pacer.wrap(client.get, { label: 'get' })
  assert.equal(client.get.name, 'get')
  assert.equal(await client.get('/x'), 'b/x')
  assert.equal(pacer.stats().calls, 1)
})

test('ten thousand waiters share one timer, and the pacer an idle process does not have', async (t) => {
  const timers = []
  const { setTimeout: real } = globalThis
  t.after(() => { globalThis.setTimeout = real })
  const pacer = new Pacer('1/hour', { headroom: 0 })
  await pacer.run(() => 1)
  globalThis.setTimeout = (...args) => {
    const timer = real(...args)
    timers.push(timer)
    return timer
  }
  const calls = Array.from({ length: 10_000 }, () => pacer.run(() => 2))
  await idle()
  const alive = timers.filter((timer) => !timer._destroyed)
  assert.equal(alive.length, 1)
  assert.equal(alive[0].hasRef(), true)
  pacer.close()
  const ends = await Promise.allSettled(calls)
  assert.ok(ends.every(({ reason }) => reason.code === 'ERR_PACER_CLOSED'))
  assert.equal(timers.filter((timer) => !timer._destroyed).length, 0)
})
