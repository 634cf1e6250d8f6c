'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { Pacer, readHeaders } = require('tidegate')
const table = require('../../tests/client/headers.json')

// Nanoseconds in a string, as milliseconds to the nanosecond.
const ms = (ns) => Number(BigInt(ns)) / 1e6
const NOW = ms(table.now_ns)
const count = (text) => (text === undefined || BigInt(text) > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(text))
const spanOf = (text) => (text === undefined ? null : ms(text))

function expected({ retry_after_ns, near_limit = false, quotas = [] }) {
  return {
    retryAfterMs: spanOf(retry_after_ns),
    nearLimit: near_limit,
    quotas: quotas.map((quota) => ({
      name: quota.name ?? '',
      limit: count(quota.limit),
      remaining: count(quota.remaining),
      resetAfterMs: spanOf(quota.reset_after_ns),
      windowMs: spanOf(quota.window_ns),
    })),
  }
}

test('headers of real interfaces', () => {
  assert.ok(table.rows.length > 50)
  for (const row of table.rows) {
    const { delayMs, ...read } = readHeaders(row.headers, { nowMs: NOW })
    assert.deepEqual(read, expected(row.expect), row.api)
    if (read.retryAfterMs !== null) assert.equal(delayMs, read.retryAfterMs)
  }
})

test('the delay is that of what is used up', () => {
  const headers = { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' }
  const { retryAfterMs, delayMs } = readHeaders(headers)
  assert.deepEqual([retryAfterMs, delayMs], [null, 30_000])
})

test('dates are compared with now, unless the response has its own', () => {
  const headers = { 'retry-after': new Date(60_000).toUTCString() }
  assert.equal(readHeaders(headers, { nowMs: 0 }).retryAfterMs, 60_000)
  assert.equal(readHeaders({ ...headers, date: new Date(50_000).toUTCString() }, { nowMs: 0 }).retryAfterMs, 10_000)
  assert.equal(readHeaders({ 'retry-after': new Date(Date.now() - 5000).toUTCString() }).retryAfterMs, 0)
})

test('counts that no number holds are not told wrong', () => {
  const headers = { 'x-ratelimit-limit': '9007199254740993', 'x-ratelimit-remaining': '9007199254740991' }
  const [{ limit, remaining }] = readHeaders(headers).quotas
  assert.deepEqual([limit, remaining], [null, 9007199254740991])
})

test('a response has headers; what has none is refused', () => {
  const headers = { 'retry-after': '1' }
  for (const given of [new Response(null, { headers }), { status: 429, headers }, new Map([['Retry-After', '1']])]) {
    assert.equal(readHeaders(given).retryAfterMs, 1000)
  }
  for (const given of [undefined, null, 'retry-after: 1', 5]) {
    assert.throws(() => readHeaders(given), { name: 'TypeError', message: /^headers: must be Headers, an object/ })
  }
  assert.throws(() => readHeaders({}, { now: 1 }), { name: 'TypeError', message: /^now: no such option/ })
  assert.throws(() => readHeaders({}, { nowMs: -1 }), { name: 'RangeError', message: /^nowMs: -1 is negative/ })
  const long = { 'retry-after': '1', 'x-long': 'é'.repeat(5000) }
  assert.equal(readHeaders(long).retryAfterMs, 1000)
})

test('odd headers of an answer say nothing: it is handed on, and leaks nothing', async () => {
  const pacer = new Pacer(undefined, { concurrency: 1 })
  const thrown = new Error('of a getter')
  const headers = { get 'retry-after'() { throw thrown } }
  for (let n = 0; n < 3; n++) {
    const answer = { status: 200, headers }
    assert.equal(await pacer.run(() => answer), answer)
  }
  const odd = { headers: {}, get status() { throw thrown } }
  assert.equal(await pacer.run(() => odd), odd)
  assert.equal(pacer.stats().inFlight, 0)
})
