'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { ManualClock, MapError, Pacer, PacerError } = require('tidegate')

const idle = () => new Promise(setImmediate)

test('results keep the order of the items', async () => {
  const clock = new ManualClock(0)
  const pacer = new Pacer('2/second', { clock, headroom: 0, concurrency: 4 })
  const ends = []
  const all = pacer.map(['a', 'b', 'c', 'd'], async (item, index) => {
    // Later ones end first.
    await new Promise((resolve) => ends.push(resolve))
    return item + index
  })
  for (let step = 0; step < 4; step++) {
    await idle()
    clock.advance(500)
  }
  await idle()
  while (ends.length > 0) {
    ends.pop()()
    await idle()
  }
  assert.deepEqual(await all, ['a0', 'b1', 'c2', 'd3'])
})

test('so many at a time, and progress is told', async () => {
  const pacer = new Pacer()
  let now = 0
  let most = 0
  const progress = []
  const work = async (item) => {
    most = Math.max(most, ++now)
    await idle()
    now--
    return item * 2
  }
  const options = { concurrency: 3, onProgress: (told) => progress.push(told) }
  const items = Array.from({ length: 10 }, (_, n) => n)
  assert.deepEqual(await pacer.map(items, work, options), items.map((n) => n * 2))
  assert.equal(most, 3)
  assert.deepEqual(progress.map(({ done }) => done), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  assert.ok(progress.every(({ total }) => total === 10))
  assert.deepEqual(progress.map(({ index }) => index).sort((a, b) => a - b), items)
})

test('any iterable serves, none too', async () => {
  const pacer = new Pacer(undefined, { concurrency: 2 })
  function* three() {
    yield* [1, 2, 3]
  }
  let total
  const seen = await pacer.map(three(), (n) => n, { onProgress: (told) => ({ total } = told) })
  assert.deepEqual(seen, [1, 2, 3])
  assert.equal(total, null)
  assert.deepEqual(await pacer.map(new Set(['x']), (item, index, { attempt }) => [item, index, attempt]), [['x', 0, 1]])
  assert.deepEqual(await pacer.map([], () => assert.fail('called')), [])
})

test('what is done is kept when one fails, and resume goes on', async () => {
  const pacer = new Pacer(undefined, { concurrency: 2 })
  let broken = true
  const done = []
  const thrown = new Error('no')
  const work = async (item) => {
    await idle()
    if (item === 3 && broken) throw thrown
    done.push(item)
    return -item
  }
  const items = [0, 1, 2, 3, 4, 5, 6, 7]
  const error = await pacer.map(items, work).catch((error) => error)
  assert.ok(error instanceof MapError && error instanceof PacerError)
  assert.deepEqual([error.cause, error.index, error.code, error.total], [thrown, 3, 'ERR_MAP_INTERRUPTED', 8])
  // The one beside it was under way, and is not lost.
  assert.equal(error.done, done.length)
  assert.deepEqual(error.results.filter((result) => result !== undefined), done.map((item) => -item))
  assert.equal(pacer.stats().inFlight, 0)
  await assert.rejects(error.resume(), MapError)
  const again = await pacer.map(items, work).catch((error) => error)
  broken = false
  done.length = 0
  assert.deepEqual(await again.resume(), items.map((item) => -item))
  assert.deepEqual(done.sort(), items.filter((item) => again.results[item] === undefined))
  assert.equal(again.resume(), again.resume())
})

test('an abort ends it, and what is done is kept', async () => {
  const clock = new ManualClock(0)
  const pacer = new Pacer('2/second', { clock, headroom: 0 })
  const controller = new AbortController()
  const all = pacer.map([1, 2, 3, 4], async (n) => n, { signal: controller.signal })
  all.catch(() => {})
  await idle()
  const reason = new Error('enough')
  controller.abort(reason)
  const error = await all.catch((error) => error)
  assert.deepEqual([error.cause, error.done, error.results], [reason, 2, [1, 2]])
  clock.advance(10_000)
  assert.deepEqual(await error.resume(), [1, 2, 3, 4])
})

test('an iterator that throws ends it', async () => {
  const pacer = new Pacer(undefined, { concurrency: 1 })
  const thrown = new Error('of the iterator')
  function* items() {
    yield 1
    throw thrown
  }
  const error = await pacer.map(items(), (n) => n).catch((error) => error)
  assert.deepEqual([error.cause, error.results, error.index], [thrown, [1], undefined])
})

test('wrong arguments are refused by name', async () => {
  const pacer = new Pacer()
  const bad = [
    [[5, () => 1], /^items: must be an array/],
    [['text', () => 1], /^items: must be an array/],
    [[[], 5], /^work: must be a function/],
    [[[], () => 1, { concurrency: 0 }], /^concurrency: 0 calls at once; give 1 or more/],
    [[[], () => 1, { progress: () => 1 }], /^progress: no such option; did you mean onProgress|^progress: no such option/],
    [[[], () => 1, { signal: 1 }], /^signal: must be an AbortSignal/],
  ]
  for (const [args, message] of bad) await assert.rejects(pacer.map(...args), { message })
})
