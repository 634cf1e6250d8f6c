'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { Limiter, ManualClock } = require('tidegate')

const clock = new ManualClock(Date.UTC(2026, 0, 1))
const limiter = new Limiter('100/minute; 1s/minute', { clock })
const NOW = clock.nowNs()

const TYPE = 'ERR_INVALID_ARG_TYPE'
const RANGE = 'ERR_OUT_OF_RANGE'

function refuses(call, code, message) {
  const name = code === RANGE ? 'RangeError' : 'TypeError'
  assert.throws(call, { name, code, message }, String(call))
}

const unshared = (bytes) => new Uint8Array(new SharedArrayBuffer(bytes))

test('keys of other types are refused by name, in every call', () => {
  const wrong = [undefined, null, 1, 1n, true, {}, [], Symbol('a'), () => {}, new ArrayBuffer(3)]
  wrong.push(new Uint16Array(3), new Uint8ClampedArray(3), new DataView(new ArrayBuffer(3)))
  wrong.push(new String('a'), unshared(3))
  for (const key of wrong) {
    for (const call of [
      () => limiter.tryAcquire(key),
      () => limiter.acquire(key),
      () => limiter.recordLatency(key, 1),
      () => limiter.peek(key),
      () => limiter.refund(key),
      () => limiter.release(key),
      () => limiter.reset(key),
      () => limiter.block(key, 1),
      () => limiter.penalize(key, 1),
      () => limiter.reserve(key, 1),
      () => limiter.snapshot(key),
      () => limiter.acquireAt(key, 1, NOW),
      () => limiter.tryAcquireAt(key, 1, NOW),
    ]) {
      refuses(call, TYPE, /^key: /)
    }
  }
  refuses(() => limiter.acquire(7), TYPE, /string or a Uint8Array, not a number/)
  refuses(() => limiter.acquire(unshared(3)), TYPE, /shared memory/)
})

test('a batch with a wrong key is refused by its number, and charges none', () => {
  const wrong = [undefined, null, 1, {}, [], Symbol('a'), new Uint16Array(3), unshared(3)]
  const transferred = new Uint8Array(3)
  structuredClone(transferred.buffer, { transfer: [transferred.buffer] })
  for (const key of [...wrong, transferred]) {
    for (const [at, keys] of [
      [0, [key]],
      [1, ['a', key, key]],
      [40, [...Array(40).fill('a'), key]],
    ]) {
      for (const call of [
        () => limiter.acquireMany(keys),
        () => limiter.acquireMany(keys.values(), 2n),
        () => limiter.acquireManyAt(keys, 1, NOW),
      ]) {
        refuses(call, TYPE, new RegExp(`^keys\\[${at}\\]: .*(must be a string|shared|gone)`))
      }
    }
  }
  refuses(() => limiter.acquireMany([, 'a']), TYPE, /^keys\[0\]: .*not undefined/)
  for (const keys of [undefined, null, 'a', '', 5, {}, () => {}, Buffer.from('a'), new Uint8Array(0)]) {
    refuses(() => limiter.acquireMany(keys), TYPE, /^keys: must be an array or another iterable of keys, not /)
    refuses(() => limiter.acquireManyAt(keys, 1, NOW), TYPE, /^keys: must be an array/)
  }
  refuses(() => limiter.acquireMany('a'), TYPE, /not a string$/)
  refuses(() => limiter.acquireMany(Buffer.from('a')), TYPE, /not bytes$/)
  for (const keys of [['a'], []]) {
    refuses(() => limiter.acquireMany(keys, -1), RANGE, /^cost: -1 is negative/)
    refuses(() => limiter.acquireMany(keys, 0.5), RANGE, /^cost: /)
    refuses(() => limiter.acquireMany(keys, '1'), TYPE, /^cost: /)
    refuses(() => limiter.acquireMany(keys, null), TYPE, /^cost: /)
    refuses(() => limiter.acquireManyAt(keys, undefined, NOW), TYPE, /^cost: /)
  }
  function* failing() {
    yield 'a'
    throw new RangeError('mine')
  }
  assert.throws(() => limiter.acquireMany(failing()), { name: 'RangeError', message: 'mine' })
  assert.equal(limiter.peek('a', 0).remaining, 100)
})

test('a key that calls the limiter while its batch is read does not mix the two', () => {
  const own = new Limiter('3/hour; 1000000s/hour', { clock })
  const key = new Uint8Array(0)
  // Asked for by the engine when an array has no bytes: is it empty, or are they gone?
  key.at = () => {
    own.update('5/hour')
    assert.deepEqual(own.acquireMany(['x', 'x', 'x']).map((seen) => seen.remaining), [4, 3, 2])
  }
  const [first, second] = own.acquireMany(['b', key])
  assert.deepEqual([first.remaining, first.name], [4, '5/hour'])
  assert.deepEqual([second.remaining, second.name], [4, '5/hour'])
})

test('a key whose bytes are gone is refused, an empty one is a key', () => {
  const transferred = new Uint8Array(3)
  structuredClone(transferred.buffer, { transfer: [transferred.buffer] })
  const gone = [transferred]
  const empty = [new Uint8Array(0), Buffer.alloc(0), new Uint8Array(new ArrayBuffer(8), 4, 0)]
  const resizable = new ArrayBuffer(8, { maxByteLength: 16 })
  if (resizable.resizable) {
    gone.push(new Uint8Array(resizable, 0, 4), new Uint8Array(resizable, 4), new Uint8Array(resizable, 4, 2))
    empty.push(new Uint8Array(resizable, 1, 0), new Uint8Array(resizable, 2))
    resizable.resize(2)
  }
  for (const key of gone) {
    for (const call of [
      () => limiter.tryAcquire(key),
      () => limiter.acquire(key),
      () => limiter.recordLatency(key, 1),
      () => limiter.peek(key),
      () => limiter.acquireAt(key, 1, NOW),
    ]) {
      refuses(call, TYPE, /^key: .*gone.*transferred or has shrunk/)
    }
  }
  assert.equal(limiter.peek('', 0).remaining, 100)
  for (const key of empty) assert.equal(limiter.tryAcquire(key), true)
  assert.equal(limiter.peek('', 0).remaining, 100 - empty.length)
})

test('costs that cannot be are refused by name, in every call', () => {
  const wrong = [
    [-1, RANGE, /-1 is negative/],
    [0.5, RANGE, /0\.5 is not whole/],
    [NaN, RANGE, /NaN/],
    [Infinity, RANGE, /Infinity/],
    [-Infinity, RANGE, /-Infinity is negative/],
    [2 ** 53, RANGE, /beyond 2\^53 - 1/],
    [1e300, RANGE, /1e300 is beyond/],
    [-1n, RANGE, /bigint/],
    [2n ** 64n, RANGE, /bigint/],
    ['1', TYPE, /not a string/],
    [null, TYPE, /not null/],
    [{}, TYPE, /not an object/],
    [true, TYPE, /not a boolean/],
  ]
  for (const [cost, code, message] of wrong) {
    const named = new RegExp(`^cost: .*${message.source}`)
    for (const call of [
      () => limiter.tryAcquire('a', cost),
      () => limiter.acquire('a', cost),
      () => limiter.peek('a', cost),
      () => limiter.refund('a', cost),
      () => limiter.reserve('a', cost),
      () => limiter.acquireAt('a', cost, NOW),
    ]) {
      refuses(call, code, named)
    }
    refuses(() => limiter.penalize('a', cost), code, new RegExp(`^units: .*${message.source}`))
  }
  refuses(() => limiter.penalize('a'), TYPE, /^units: /)
  refuses(() => limiter.reserve('a'), TYPE, /^cost: /)
  assert.deepEqual(limiter.peek('a', 0).remaining, 100)
})

test('durations that cannot be are refused by name', () => {
  for (const ms of [-1, NaN, Infinity, -Infinity, 1e300]) {
    refuses(() => limiter.recordLatency('a', ms), RANGE, /^latencyMs: /)
    refuses(() => limiter.block('a', ms), RANGE, /^durationMs: /)
    refuses(() => clock.advance(ms), RANGE, /^ms: /)
    refuses(() => clock.set(ms), RANGE, /^ms: /)
    refuses(() => new ManualClock(ms), RANGE, /^ms: /)
  }
  for (const ms of [undefined, null, '1', 1n, {}]) {
    refuses(() => limiter.recordLatency('a', ms), TYPE, /^latencyMs: /)
    refuses(() => limiter.block('a', ms), TYPE, /^durationMs: /)
    refuses(() => clock.advance(ms), TYPE, /^ms: /)
    refuses(() => new ManualClock(ms), TYPE, /^ms: /)
  }
  refuses(() => limiter.recordLatencyAt('a', 1, NOW), TYPE, /^latencyNs: /)
  refuses(() => limiter.blockAt('a', -1n, NOW), RANGE, /^durationNs: /)
})

test('explicit times are bigints, and never taken for now', () => {
  const calls = {
    acquireAt: (now) => limiter.acquireAt('a', 1, now),
    acquireManyAt: (now) => limiter.acquireManyAt(['a'], 1, now),
    acquireManyAtOfNone: (now) => limiter.acquireManyAt([], 1, now),
    tryAcquireAt: (now) => limiter.tryAcquireAt('a', 1, now),
    peekAt: (now) => limiter.peekAt('a', 1, now),
    recordLatencyAt: (now) => limiter.recordLatencyAt('a', 1n, now),
    refundAt: (now) => limiter.refundAt('a', 1, now),
    releaseAt: (now) => limiter.releaseAt('a', now),
    resetAt: (now) => limiter.resetAt('a', now),
    blockAt: (now) => limiter.blockAt('a', 1n, now),
    penalizeAt: (now) => limiter.penalizeAt('a', 1, now),
    reserveAt: (now) => limiter.reserveAt('a', 1, now),
    updateAt: (now) => limiter.updateAt('1/second', now),
    snapshotAt: (now) => limiter.snapshotAt('a', now),
  }
  for (const call of Object.values(calls)) {
    for (const now of [undefined, null, 5, '5']) refuses(() => call(now), TYPE, /^nowNs: /)
    for (const now of [-1n, 2n ** 62n, 2n ** 64n]) refuses(() => call(now), RANGE, /^nowNs: /)
  }
  assert.equal(limiter.peek('a', 0).limit, 100)
})

test('options are known, of the right type, and possible', () => {
  const make = (options) => () => new Limiter('1/second', options)
  assert.throws(make({ maxkeys: 5 }), { name: 'TypeError', message: /^maxkeys: .*maxKeys\?/ })
  assert.throws(make({ max_keys: 5 }), { message: /did you mean maxKeys\?/ })
  assert.throws(make({ onfull: 'deny' }), { message: /did you mean onFull\?/ })
  assert.throws(make({ wibble: 5 }), { message: /^wibble: no such option \(known: clock, / })
  refuses(make(null), TYPE, /^options: /)
  refuses(make('x'), TYPE, /^options: /)
  refuses(make([]), TYPE, /^options: /)
  refuses(make({ maxKeys: '5' }), TYPE, /^maxKeys: /)
  refuses(make({ maxKeys: 0 }), RANGE, /^maxKeys: /)
  refuses(make({ maxKeys: 1.5 }), RANGE, /^maxKeys: /)
  refuses(make({ onFull: 'explode' }), RANGE, /^onFull: .*inherit/)
  refuses(make({ onFull: 3 }), TYPE, /^onFull: /)
  refuses(make({ store: 'redis://x' }), RANGE, /^store: .*memory:/)
  refuses(make({ clock: 'sundial' }), RANGE, /^clock: .*system/)
  refuses(make({ clock: 'sundial' }), RANGE, /^clock: .*"counter", "system", "coarse"/)
  refuses(make({ clock: {} }), TYPE, /^clock: /)
  refuses(make({ clock: 5 }), TYPE, /^clock: .*'counter', 'system' or 'coarse'/)
  refuses(make({ clock: Object.create(ManualClock.prototype) }), TYPE, /^clock: /)
  refuses(make({ name: 5 }), TYPE, /^name: /)
  assert.doesNotThrow(make({ maxKeys: 5, onFull: undefined, store: 'memory:', name: 'x' }))
  for (const policy of [undefined, null, 5, [], () => {}]) {
    refuses(() => new Limiter(policy), TYPE, /^policy: /)
    refuses(() => limiter.update(policy), TYPE, /^policy: /)
  }
})

test('options are read once, also inherited ones and getters', async () => {
  const make = (options) => () => new Limiter('1/second', options)
  refuses(make(Object.create({ onFull: 3 })), TYPE, /^onFull: /)
  refuses(make(Object.create({ name: null })), TYPE, /^name: /)
  assert.throws(make(Object.create({ onfull: 'deny' })), { message: /did you mean onFull\?/ })
  assert.equal(make(Object.create({ name: 'inherited' }))().name, 'inherited')
  class Options {
    reads = 0
    get name() {
      return this.reads++ === 0 ? 'first' : 5
    }
  }
  Object.defineProperty(Options.prototype, 'name', { enumerable: true })
  const options = new Options()
  Object.defineProperty(options, 'reads', { enumerable: false })
  assert.equal(make(options)().name, 'first')
  assert.equal(options.reads, 1)
  const failing = { get store() { throw new RangeError('mine') } }
  assert.throws(make(failing), { name: 'RangeError', message: 'mine' })
  const inherited = Object.create({ timeoutMs: '3' })
  await assert.rejects(limiter.wait('a', inherited), { message: /^timeoutMs: must be a number, / })
})

test('options of wait and measure, too', async () => {
  await assert.rejects(limiter.wait('a', { timeout: 5 }), { message: /did you mean timeoutMs\?/ })
  await assert.rejects(limiter.wait('a', { timeoutMs: NaN }), { name: 'RangeError', message: /^timeoutMs: / })
  await assert.rejects(limiter.wait('a', { timeoutMs: Infinity }), { name: 'RangeError' })
  await assert.rejects(limiter.wait('a', { timeoutMs: -1 }), { name: 'RangeError' })
  await assert.rejects(limiter.wait('a', { timeoutMs: '1' }), { name: 'TypeError' })
  await assert.rejects(limiter.wait('a', { cost: -1 }), { message: /^cost: / })
  await assert.rejects(limiter.wait('a', { signal: {} }), { message: /^signal: / })
  await assert.rejects(limiter.wait(5), { name: 'TypeError', message: /^key: / })
  await assert.rejects(limiter.measure('a'), { name: 'TypeError', message: /^work: / })
  await assert.rejects(limiter.measure(5, () => {}), { name: 'TypeError', message: /^key: / })
  await assert.rejects(limiter.measure('a', () => {}, { costs: 1 }), { message: /mean cost\?/ })
  assert.equal(limiter.peek('a', 0).remaining, 100)
})

test('methods need their limiter', () => {
  const { tryAcquire, acquire, acquireMany, peek } = limiter
  for (const call of [tryAcquire, acquire, acquireMany, peek]) {
    assert.throws(() => call('a'), TypeError)
    assert.throws(() => call.call({}, 'a'), TypeError)
  }
})
