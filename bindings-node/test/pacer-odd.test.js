'use strict'

// Errors and refusals that make trouble when they are looked at: the call goes on as with any other, and leaves nothing
// behind.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { getEventListeners, getMaxListeners, setMaxListeners } = require('node:events')
const { Limiter, ManualClock, Pacer } = require('tidegate')

const trouble = () => {
  throw new Error('a getter')
}
const holdsNothing = (pacer) => {
  const { inFlight, waiting } = pacer.stats()
  assert.deepEqual({ inFlight, waiting }, { inFlight: 0, waiting: 0 })
}
const withGetter = (value, name) => Object.defineProperty(value, name, { get: trouble })

test('errors that cannot be read are handed on, the very same', async () => {
  const errors = {
    'headers as text': Object.assign(new Error('mine'), { status: 404, headers: 'a: b' }),
    'a response with such': Object.assign(new Error('mine'), { response: { status: 404, headers: 7 } }),
    'no pairs': Object.assign(new Error('mine'), { status: 404, headers: new Set([1]) }),
    'a value without text': Object.assign(new Error('mine'), { status: 404, headers: { a: Object.create(null) } }),
    response: withGetter(new Error('mine'), 'response'),
    status: withGetter(new Error('mine'), 'status'),
  }
  for (const [what, error] of Object.entries(errors)) {
    const pacer = new Pacer()
    const caught = await pacer.run(() => Promise.reject(error)).catch((error) => error)
    assert.equal(caught, error, what)
    holdsNothing(pacer)
  }
})

test('results that cannot be read are given back, the very same, as if they said nothing', async () => {
  const pass = { status: 200, headers: {} }
  const results = {
    headers: withGetter({ status: 200 }, 'headers'),
    status: withGetter({ headers: {} }, 'status'),
    'a field': { status: 200, headers: withGetter({}, 'retry-after') },
    'a value without text': { status: 200, headers: { a: Object.create(null) } },
    'no pairs': { status: 200, headers: new Set([1]) },
    'the second time': Object.defineProperty({ headers: {} }, 'status', { get: () => (seen++ > 0 ? trouble() : 200) }),
    'all of a proxy': new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : trouble()) }),
  }
  let seen = 0
  for (const [what, result] of Object.entries(results)) {
    const told = []
    for (const classify of [undefined, ({ status }) => void told.push(status)]) {
      seen = 0
      const pacer = new Pacer(undefined, { concurrency: 1, classify })
      assert.equal(await pacer.run(() => result), result, what)
      assert.equal(await pacer.run(() => pass), pass, what)
      holdsNothing(pacer)
    }
    assert.equal(told.length, 2, what)
  }
  // A status that can be read counts.
  const refused = withGetter({ status: 429 }, 'headers')
  const odd = Object.defineProperty({ status: 429 }, 'headers', { value: { a: Object.create(null) } })
  const answers = [odd, 'done']
  const pacer = new Pacer(undefined, { concurrency: 1, baseMs: 0 })
  assert.equal(await pacer.run(() => answers.shift()), 'done')
  assert.equal(pacer.stats().limited, 1)
  assert.equal(await pacer.run(() => refused), refused)
})

test('a refused answer that cannot be let go is tried again, and holds no place', async () => {
  const refusals = {
    body: withGetter({}, 'body'),
    reader: { body: { getReader: trouble } },
    stream: { body: { resume() {}, destroy() {} } },
  }
  for (const [what, refusal] of Object.entries(refusals)) {
    Object.assign(refusal, { status: 429, headers: { 'retry-after': '0' } })
    const pacer = new Pacer(undefined, { concurrency: 1, baseMs: 0 })
    const answers = [refusal, 'done']
    assert.equal(await pacer.run(() => answers.shift()), 'done', what)
    holdsNothing(pacer)
  }
})

test('a map reads items whose length says nothing', async () => {
  for (const length of [() => 2, '2', -1, NaN]) {
    const items = { length, *[Symbol.iterator]() { yield* [1, 2] } }
    assert.deepEqual(await new Pacer().map(items, (item) => item * 10), [10, 20])
  }
})

test('one signal ends the waiting of many, and is no leak', async (t) => {
  const warnings = []
  const onWarning = (warning) => warnings.push(warning.name)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const clock = new ManualClock(0)
  const pacer = new Pacer('1/hour', { clock, headroom: 0 })
  const limiter = new Limiter('1/hour', { clock })
  await pacer.run(() => {})
  limiter.acquire('k')
  const many = (work) => Array.from({ length: 50 }, () => work().catch((error) => error.name))
  const controller = new AbortController()
  const { signal } = controller
  const waiting = [...many(() => pacer.run(() => {}, { signal })), ...many(() => limiter.wait('k', { signal }))]
  await new Promise(setImmediate)
  assert.equal(getEventListeners(signal, 'abort').length, 100)
  controller.abort()
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['AbortError']))
  assert.deepEqual([getEventListeners(signal, 'abort').length, warnings], [0, []])

  for (const most of [7, 0]) {
    const own = new AbortController()
    setMaxListeners(most, own.signal)
    const waits = pacer.run(() => {}, { signal: own.signal }).catch((error) => error.name)
    if (most > 0) assert.equal(getMaxListeners(own.signal), most)
    own.abort()
    assert.equal(await waits, 'AbortError')
  }
})
