'use strict'

// Replays tests/vectors/*.json: the same decisions as every other host, to the nanosecond.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { Limiter, ManualClock } = require('tidegate')

const folder = process.env.TIDEGATE_VECTORS ?? path.join(__dirname, '../../tests/vectors')

// Amounts are whole numbers of up to 64 bits: as bigints, before JSON would round them.
function read(file) {
  const text = fs.readFileSync(path.join(folder, file), 'utf8')
  return JSON.parse(text.replace(/("(?:cost|units|actual)"\s*:\s*)(\d+)/g, '$1"$2"'))
}

// A request's attributes, or a key.
function keyOf(step) {
  // Here an object without attributes is refused as a slip; one that no policy mentions means nothing either.
  if (step.request !== undefined) return Object.keys(step.request).length > 0 ? step.request : { unmentioned: '' }
  return step.key_hex === undefined ? step.key : Buffer.from(step.key_hex, 'hex')
}

// Bigints as the decimal strings of the vectors; null is "never".
function shown(value) {
  if (value === null) return 'never'
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== 'object') return value
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [snake(name), shown(inner)]),
  )
}

const HEADER_STYLES = ['legacy', 'draft', 'both']
const BODY_STYLES = ['error', 'message', 'problem']

const byStyle = (styles, read) => Object.fromEntries(styles.map((style) => [style, read(style)]))

// What a decision says besides its fields.
function saidBy(decision) {
  const { plan, burstRemaining, shadow, message, closes, status } = decision
  return {
    plan,
    burst_remaining: burstRemaining === null ? null : String(burstRemaining),
    shadow,
    message,
    closes,
    status,
    headers: byStyle(HEADER_STYLES, (style) => Object.entries(decision.headers(style))),
    body: byStyle(BODY_STYLES, (style) => [decision.contentType(style), decision.body(style)]),
  }
}

// Reports say null where there is nothing.
function usage({ plan, byKind, limit, ...report }) {
  return {
    ...shown(report),
    plan,
    by_kind: byKind.map(({ kind, units }) => [kind, String(units)]),
    limit: limit === null ? null : shown(limit),
  }
}

// Two ways to the same answers: `acquire` with an explicit time, and at the time of the clock, where decisions are numbers.
const acquires = {
  'at a time': ({ limiter, key, cost, now }) => {
    const decision = limiter.acquireAt(key, cost, now)
    return { ...shown(decision), ...saidBy(decision) }
  },
  'at the clock': ({ limiter, key, cost }) => {
    const decision = limiter.acquire(key, cost)
    return { ...shownPlain(decision), ...saidBy(decision) }
  },
}

// The fields of a plain decision: spans are told as exactly as they are.
function shownPlain(decision) {
  const { allowed, reason, name } = decision
  const nanos = (ms) => (ms === Infinity ? 'never' : ms)
  const count = (field) => {
    try {
      return String(decision[field])
    } catch (error) {
      assert.equal(error.code, 'ERR_OUT_OF_RANGE')
      return TOO_BIG
    }
  }
  return {
    allowed,
    reason,
    name,
    limit: count('limit'),
    remaining: count('remaining'),
    retry_after_ns: nanos(decision.retryAfterMs),
    reset_after_ns: nanos(decision.resetAfterMs),
  }
}

const TOO_BIG = 'too big'

// What a plain decision says of a number of the vectors.
function plainly(got, wanted) {
  if (got === TOO_BIG) return BigInt(wanted) > Number.MAX_SAFE_INTEGER ? wanted : got
  return typeof got === 'number' && wanted !== 'never' ? (Number(wanted) / 1e6 === got ? wanted : got) : got
}

const calls = {
  acquire_many: ({ limiter, cost, now, step }) =>
    limiter.acquireManyAt(step.keys ?? step.keys_hex.map((key) => Buffer.from(key, 'hex')), cost, now),
  peek: ({ limiter, key, cost, now }) => limiter.peekAt(key, cost, now),
  try_acquire: ({ limiter, key, cost, now }) => limiter.tryAcquireAt(key, cost, now),
  record_latency: ({ limiter, key, now, step }) =>
    limiter.recordLatencyAt(key, BigInt(step.latency_ns), now),
  penalize: ({ limiter, key, now, step }) => limiter.penalizeAt(key, BigInt(step.units), now),
  refund: ({ limiter, key, cost, now }) => limiter.refundAt(key, cost, now),
  release: ({ limiter, key, now }) => limiter.releaseAt(key, now),
  reset: ({ limiter, key, now }) => limiter.resetAt(key, now),
  block: ({ limiter, key, now, step }) => limiter.blockAt(key, BigInt(step.duration_ns), now),
  update: ({ limiter, now, step }) => limiter.updateAt(step.policy, now),
  snapshot: ({ limiter, key, now }) => limiter.snapshotAt(key, now),
  reserve: ({ limiter, key, cost, now, held, step }) => {
    const reservation = limiter.reserveAt(key, cost, now)
    held.set(step.id, reservation)
    return reservation.decision
  },
  settle: ({ now, held, step }) => held.get(step.id).settleAt(BigInt(step.actual), now),
  cancel: ({ now, held, step }) => held.get(step.id).cancelAt(now),
  renew: ({ limiter, key, now }) => limiter.renewAt(key, now),
  assign: ({ limiter, now, step: { value, plan, duration_ns: duration } }) =>
    limiter.assignAt(value, plan, duration === undefined ? null : BigInt(duration), now),
  unassign: ({ limiter, step }) => limiter.unassign(step.value),
  plan_of: ({ limiter, key }) => ({ plan: limiter.planOf(key) }),
  usage: ({ limiter, key, now, step: { window_ns: window } }) =>
    usage(limiter.usageAt(key, window === undefined ? null : BigInt(window), now)),
  alerts: ({ alerts }) =>
    alerts.splice(0).map(({ limit, thresholdPermille, used, capacity }) => ({
      limit,
      threshold_permille: thresholdPermille,
      used: String(used),
      capacity: String(capacity),
    })),
}

// A call that the vector wants refused answers the field that is wrong.
function answerOf(call, context, { error } = {}) {
  if (error === undefined) return call(context)
  try {
    call(context)
  } catch (refusal) {
    assert.equal(refusal.code, 'ERR_OUT_OF_RANGE')
    return { error: { field: refusal.field } }
  }
  return { error: 'admitted' }
}

function replay({ name, steps }, acquire) {
  const held = new Map()
  const alerts = []
  const clock = new ManualClock(0)
  let limiter
  for (const [index, step] of steps.entries()) {
    const where = `${name}, step ${index}: ${JSON.stringify(step)}`
    if (step.now !== undefined) clock.setNs(BigInt(step.now))
    if (step.call === 'new') {
      limiter = new Limiter(step.policy, { clock })
      limiter.onAlert((alert) => alerts.push(alert))
      continue
    }
    const all = { ...calls, acquire }
    assert.ok(Object.hasOwn(all, step.call), `unknown call: ${where}`)
    const key = keyOf(step)
    const cost = BigInt(step.cost ?? 1)
    const now = BigInt(step.now)
    const answer = answerOf(all[step.call], { limiter, key, cost, now, held, alerts, step }, step.expect)
    if (step.expect === undefined) continue
    const got = step.call === 'usage' || step.call === 'plan_of' || step.call === 'acquire' ? answer : shown(answer)
    if (typeof step.expect !== 'object') {
      assert.equal(got, step.expect, where)
    } else {
      assert.equal(got.length, step.expect.length, `number of answers of ${where}`)
      // The fields that a vector names, all of them.
      for (const [field, wanted] of Object.entries(step.expect)) {
        assert.deepEqual(plainly(got[field], wanted), wanted, `${field} of ${where}`)
      }
    }
  }
}

const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((f) => f.endsWith('.json')) : []

test('there are vectors', () => assert.notEqual(files.length, 0, `none in ${folder}`))

for (const file of files.sort()) {
  const vectors = [read(file)].flat()
  for (const vector of vectors) {
    for (const [how, acquire] of Object.entries(acquires)) {
      test(`${file}: ${vector.name}, ${how}`, () => replay(vector, acquire))
    }
  }
}
