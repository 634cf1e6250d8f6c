'use strict'

// Tidegate beside its peers in Node.js: both sides by turns, medians, one table.
//
//   node benches/node/bench.js [--quick] [--json PATH] [--check] [--rounds N]

const assert = require('node:assert')
const fs = require('node:fs')
const { parseArgs } = require('node:util')

const { Limiter } = require('../../bindings-node')
const { RateLimiterMemory } = require('rate-limiter-flexible')
const { MemoryStore } = require('express-rate-limit')
const { RateLimiter } = require('limiter')

const HOT = ['user:123456']
// A rate that nobody reaches.
const PER_SECOND = 1_000_000_000
const HEAD = ['what', 'ours', 'peer', 'ratio', 'bar', 'holds']

// The keys of `count` users in random order, as fresh strings: whoever reads a request has just made its key.
function users(count) {
  const numbers = Array.from({ length: count }, (_, number) => number)
  let random = 12345
  for (let last = count - 1; last > 0; last--) {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0
    const other = (random >>> 8) % (last + 1)
    ;[numbers[last], numbers[other]] = [numbers[other], numbers[last]]
  }
  return numbers.map((number) => 'user:' + String(number).padStart(6, '0'))
}

const nanosSince = (start, calls) => Number(process.hrtime.bigint() - start) / calls

// Sides: functions that make `calls` calls over `keys` and give ns per call (or a promise of it).

function tidegate(keys, method) {
  const limiter = new Limiter(`${PER_SECOND}/second`)
  let k = 0
  return (calls) => {
    const before = limiter.stats().allowed
    const start = process.hrtime.bigint()
    if (method === 'tryAcquire') {
      for (let i = 0; i < calls; i++) {
        limiter.tryAcquire(keys[k])
        if (++k === keys.length) k = 0
      }
    } else {
      for (let i = 0; i < calls; i++) {
        limiter.acquire(keys[k])
        if (++k === keys.length) k = 0
      }
    }
    const nanos = nanosSince(start, calls)
    assert.strictEqual(Number(limiter.stats().allowed - before), calls, 'every request is admitted')
    return nanos
  }
}

function latency() {
  const limiter = new Limiter('30s/minute')
  return (calls) => {
    limiter.reset(HOT[0])
    const start = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) limiter.recordLatency(HOT[0], 0.1)
    const nanos = nanosSince(start, calls)
    assert(limiter.snapshot(HOT[0]).buckets[0].used > 0, 'charges are counted')
    return nanos
  }
}

function flexible(keys) {
  const limiter = new RateLimiterMemory({ points: PER_SECOND, duration: 600 })
  let consumed = 0
  let k = 0
  return async (calls) => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) {
      await limiter.consume(keys[k])
      if (++k === keys.length) k = 0
    }
    const nanos = nanosSince(start, calls)
    consumed += calls
    const one = await limiter.get(keys[0])
    assert.strictEqual(one.consumedPoints, Math.ceil(consumed / keys.length), 'every request is counted')
    return nanos
  }
}

function express(keys) {
  const store = new MemoryStore()
  store.init({ windowMs: 600_000 })
  let k = 0
  return async (calls) => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) {
      await store.increment(keys[k])
      if (++k === keys.length) k = 0
    }
    const nanos = nanosSince(start, calls)
    assert((await store.get(keys[0])).totalHits > 0, 'every request is counted')
    return nanos
  }
}

function bucket() {
  const limiter = new RateLimiter({ tokensPerInterval: PER_SECOND, interval: 'second' })
  return (calls) => {
    let admitted = 0
    const start = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) admitted += limiter.tryRemoveTokens(1) ? 1 : 0
    const nanos = nanosSince(start, calls)
    assert.strictEqual(admitted, calls, 'every request is admitted')
    return nanos
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

// Medians of both, and of the ratio of neighbours in time; the first rounds warm up.
async function compare(ours, peer, rounds, calls) {
  const pairs = []
  for (let round = -2; round < rounds; round++) {
    let mine, theirs
    if (round % 2 === 0) {
      mine = await ours(calls)
      theirs = await peer(calls)
    } else {
      theirs = await peer(calls)
      mine = await ours(calls)
    }
    if (round >= 0) pairs.push([mine, theirs])
  }
  const ratios = pairs.map(([a, b]) => b / a).sort((a, b) => a - b)
  const quarter = Math.floor(ratios.length / 4)
  return {
    ours: median(pairs.map((pair) => pair[0])),
    peer: median(pairs.map((pair) => pair[1])),
    ratio: median(ratios),
    ratio_quartiles: [ratios[quarter], ratios[ratios.length - 1 - quarter]],
  }
}

async function measure(rounds, calls, many) {
  const manyUsers = users(many)
  const kinds = [
    ['tryAcquire, one key', tidegate(HOT, 'tryAcquire'), 'rate-limiter-flexible', flexible(HOT), 2],
    ['tryAcquire, 100k keys', tidegate(manyUsers, 'tryAcquire'), 'rate-limiter-flexible', flexible(manyUsers), 4],
    ['tryAcquire, one key', tidegate(HOT, 'tryAcquire'), 'express-rate-limit store', express(HOT)],
    ['tryAcquire, 100k keys', tidegate(manyUsers, 'tryAcquire'), 'express-rate-limit store', express(manyUsers)],
    ['tryAcquire, one key', tidegate(HOT, 'tryAcquire'), 'limiter, no key', bucket()],
    ['acquire, one key', tidegate(HOT, 'acquire'), 'rate-limiter-flexible', flexible(HOT)],
    ['recordLatency, one key', latency(), 'rate-limiter-flexible', flexible(HOT)],
  ]
  const rows = []
  for (const [what, ours, name, peer, bar] of kinds) {
    const compared = await compare(ours, peer, rounds, calls)
    rows.push({
      what,
      unit: 'ns',
      ...compared,
      peer_name: name,
      bar: bar === undefined ? '' : `≥ ${bar}×`,
      holds: bar === undefined ? null : compared.ratio >= bar,
    })
  }
  return rows
}

function show(rows) {
  const amount = (nanos) => `${nanos.toFixed(nanos < 100 ? 1 : 0)} ns`
  const cells = rows.map((row) => [
    row.what,
    amount(row.ours),
    `${amount(row.peer)} (${row.peer_name})`,
    `${row.ratio.toFixed(2)}×`,
    row.bar,
    row.holds === null ? '' : row.holds ? 'yes' : 'NO',
  ])
  const widths = HEAD.map((head, i) => Math.max(head.length, ...cells.map((line) => line[i].length)))
  const lines = [HEAD, widths.map((width) => '-'.repeat(width)), ...cells]
  for (const line of lines) {
    console.log(`| ${line.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`)
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '151' },
    },
  })
  const rounds = values.quick ? 7 : Math.max(Number(values.rounds) || 151, 7)
  const rows = await measure(rounds, values.quick ? 2_000 : 10_000, 100_000)
  show(rows)
  if (values.quick) console.log('(tiny sizes: these figures mean nothing)')
  if (values.json) {
    fs.writeFileSync(values.json, JSON.stringify({ host: 'node', rows }, null, 2) + '\n')
  }
  // Peers leave timers behind.
  process.exit(values.check && rows.some((row) => row.holds === false) ? 1 : 0)
}

main().catch((error) => {
  console.error(error)
  process.exit(2)
})
