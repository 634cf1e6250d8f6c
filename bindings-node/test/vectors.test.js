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

function keyOf(step) {
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

const calls = {
  acquire: ({ limiter, key, cost, now }) => limiter.acquireAt(key, cost, now),
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
}

function replay({ name, steps }) {
  const held = new Map()
  let limiter
  for (const [index, step] of steps.entries()) {
    const where = `${name}, step ${index}: ${JSON.stringify(step)}`
    if (step.call === 'new') {
      const clock = new ManualClock(0)
      if (step.now !== undefined) clock.setNs(BigInt(step.now))
      limiter = new Limiter(step.policy, { clock })
      continue
    }
    assert.ok(Object.hasOwn(calls, step.call), `unknown call: ${where}`)
    const key = keyOf(step)
    const cost = BigInt(step.cost ?? 1)
    const now = BigInt(step.now)
    const answer = calls[step.call]({ limiter, key, cost, now, held, step })
    if (step.expect === undefined) continue
    const got = shown(answer)
    if (typeof step.expect !== 'object') {
      assert.equal(got, step.expect, where)
    } else {
      assert.equal(got.length, step.expect.length, `number of answers of ${where}`)
      // The fields that a vector names, all of them.
      for (const [field, wanted] of Object.entries(step.expect)) {
        assert.deepEqual(got[field], wanted, `${field} of ${where}`)
      }
    }
  }
}

const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((f) => f.endsWith('.json')) : []

test('there are vectors', () => assert.notEqual(files.length, 0, `none in ${folder}`))

for (const file of files.sort()) {
  const vectors = [read(file)].flat()
  for (const vector of vectors) test(`${file}: ${vector.name}`, () => replay(vector))
}
