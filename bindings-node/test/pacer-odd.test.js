'use strict'

// Errors and refusals that make trouble when they are looked at: the call goes on as with any other, and leaves nothing
// behind.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { Pacer } = require('tidegate')

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
