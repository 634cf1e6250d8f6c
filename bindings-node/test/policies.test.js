'use strict'

// tests/policies/{good,bad}.json and examples/policies: the same in every host.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { Limiter, PolicyError, hashSecret } = require('tidegate')

const root = path.join(__dirname, '../..')
const cases = (file) =>
  JSON.parse(fs.readFileSync(path.join(root, 'tests/policies', file), 'utf8'))

for (const { name, text } of cases('good.json')) {
  test(`good: ${name}`, () => {
    assert.equal(typeof new Limiter(text).tryAcquire('key', 0), 'boolean')
  })
}

for (const { name, text, line, column, field, remedy_contains } of cases('bad.json')) {
  test(`bad: ${name}`, () => {
    assert.throws(
      () => new Limiter(text),
      (error) => {
        assert.ok(error instanceof PolicyError && error instanceof Error)
        if (line !== undefined) assert.equal(error.line ?? null, line)
        if (column !== undefined) assert.equal(error.column ?? null, column)
        if (field !== undefined) assert.equal(error.field, field)
        if (remedy_contains) assert.ok(error.remedy.includes(remedy_contains), error.remedy)
        assert.ok(error.message.includes(error.remedy))
        return true
      },
    )
  })
}

// With what the examples' limits count by.
const request = {
  key: 'key',
  account: 'account',
  user: 'user',
  ip: '192.0.2.1',
  route: 'GET /v1/documents',
}

const examples = path.join(root, 'examples/policies')
for (const file of fs.readdirSync(examples).filter((name) => /\.(toml|json)$/.test(name))) {
  test(`example: ${file}`, () => {
    const limiter = Limiter.fromFile(path.join(examples, file))
    assert.notEqual(limiter.snapshot(request).buckets.length, 0)
    const same = Limiter.fromFile(pathToFileURL(path.join(examples, file)))
    assert.deepEqual(
      same.snapshotAt(request, 0n).buckets,
      limiter.snapshotAt(request, 0n).buckets,
    )
  })
}

test('the secret of an example lets pass', () => {
  const text = fs.readFileSync(path.join(examples, 'platform.toml'), 'utf8')
  const [, known] = /"dev_key"\nsecrets {3}= \["(sha256:[0-9a-f]{64})"/.exec(text)
  const limiter = new Limiter(text.replace(known, hashSecret('open sesame')))
  const asks = { ip: '192.0.2.1', route: 'GET /', dev_key: 'open sesame' }
  assert.equal(limiter.acquire(asks).reason, 'bypass')
  assert.equal(new Limiter(text).acquire(asks).reason, 'ok')
})

test('an object is a policy', () => {
  const limiter = new Limiter({
    timezone: 'Europe/Amsterdam',
    limit: [
      {
        name: 'requests',
        method: 'count',
        algorithm: 'fixed_window',
        cascade: ['100/minute', { name: 'hourly', rate: '2600/hour' }],
      },
      { name: 'connections', method: 'concurrency', quota: 5 },
    ],
  })
  const { buckets } = limiter.snapshot('key')
  assert.deepEqual(
    buckets.map(({ limit, name, method, quota }) => [limit, name, method, quota]),
    [
      ['requests', '100/minute', 'count', 100],
      ['requests', 'hourly', 'count', 2600],
      ['connections', buckets[2].name, 'concurrency', 5],
    ],
  )
})

test('a mistake in an object has a field, and no line of a text that nobody wrote', () => {
  const policy = { limit: [{ name: 'a', rate: '5/minute', brust: 3 }] }
  assert.throws(
    () => new Limiter(policy),
    (error) => {
      assert.ok(error instanceof PolicyError)
      assert.match(error.message, /brust/)
      assert.match(error.remedy, /burst/)
      assert.doesNotMatch(error.message, /line \d/)
      assert.deepEqual([error.line, error.column], [undefined, undefined])
      return true
    },
  )
})

test('what JSON cannot say is refused by field', () => {
  const limit = (fields) => ({ limit: [{ quota: 5, period: 'minute', ...fields }] })
  const loop = limit({})
  loop.limit[0].burst = loop.limit
  const refused = [
    [limit({ quota: 5n }), TypeError, /^policy: limit\[0\]\.quota: must be .*, not a bigint/],
    [limit({ burst: () => 3 }), TypeError, /^policy: limit\[0\]\.burst: must be .*, not a function/],
    [{ scale: Symbol('a'), ...limit() }, TypeError, /^policy: scale: must be .*, not a symbol/],
    [limit({ quota: NaN }), PolicyError, /^policy: limit\[0\]\.quota: NaN is not an amount; /],
    [loop, PolicyError, /^policy: limit\[0\]\.burst: the object holds itself; /],
    [{ toJSON() {} }, TypeError, /^policy: must be a rate string .*, not undefined/],
    [{ toJSON: () => 5n }, TypeError, /^policy: must be .*, not a bigint/],
    [{ toJSON: () => '5/minute' }, PolicyError, /^policy: document: /],
  ]
  const limiter = new Limiter('1/second')
  for (const [policy, kind, message] of refused) {
    for (const call of [() => new Limiter(policy), () => limiter.update(policy)]) {
      assert.throws(call, (error) => {
        assert.ok(error instanceof kind, String(error))
        assert.match(error.message, message)
        assert.match(error.code, /^ERR_(INVALID_ARG_TYPE|TIDEGATE_POLICY)$/)
        return true
      })
    }
  }
  assert.throws(
    () => new Limiter({ get limit() { throw new RangeError('mine') } }),
    { name: 'RangeError', message: 'mine' },
  )
  // The same object twice is no circle, and what is undefined is left out.
  const period = { toJSON: () => 'minute' }
  const limits = ['a', 'b'].map((name) => ({ name, quota: 5, period, burst: undefined }))
  assert.equal(new Limiter({ limit: limits }).snapshot('key').buckets.length, 2)
})

test('a small scale, which JSON writes with an exponent', () => {
  const limit = [{ rate: '50000000/minute' }]
  assert.equal(JSON.stringify(1e-7), '1e-7')
  assert.equal(new Limiter({ scale: 1e-7, limit }).peek('key', 0).limit, 5)
  assert.throws(() => new Limiter({ scale: 1e-10, limit }), { field: 'scale' })
})

test('a policy file that is wrong is named, and so is one that is not there', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-'))
  try {
    const file = path.join(folder, 'wrong.toml')
    fs.writeFileSync(file, '[[limit]]\nname = "a"\nrate = "5/fortnight"\n')
    assert.throws(
      () => Limiter.fromFile(file),
      (error) => {
        assert.ok(error instanceof PolicyError)
        assert.ok(error.message.includes(file), error.message)
        assert.equal(error.line, 3)
        return true
      },
    )
    assert.throws(() => Limiter.fromFile(path.join(folder, 'none.toml')), {
      code: 'ENOENT',
      message: /none\.toml/,
    })
    assert.throws(() => Limiter.fromFile(3), { name: 'TypeError', message: /^path: / })
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})
