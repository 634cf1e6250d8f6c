'use strict'

// What a pacer costs a call that need not wait, above the call itself, beside its peers.
//
//   node benches/node/pacer.js [--quick] [--json PATH] [--check] [--rounds N]
//
// Each round asks each side in a fresh process, one after the other. There the side and the function alone take turns, many
// times; the difference of their medians is what the side adds. Told are the median of the rounds, and the lowest and the
// highest of them: how far others on the machine disturb. Time is what the process computes, its collector and compiler
// included, and beside it what the clock shows. A side that waits on timers (bottleneck: for each call) computes less.

const assert = require('node:assert')
const fs = require('node:fs')
const { parseArgs } = require('node:util')

const { apart, taskOf, report, computed, median } = require('./apart.js')

// The most that a call may cost above calling the function itself.
const MOST_NANOS = 1000
const NEVER_REACHED = 1_000_000_000

const work = async () => 1

const tidegate = () => require('../../bindings-node')
const limited = () => new (tidegate().Pacer)(`${NEVER_REACHED}/second`)

function bottleneck(options) {
  const limiter = new (require('bottleneck'))({ maxConcurrent: 10, ...options })
  return () => limiter.schedule(work)
}

const SIDES = {
  'Pacer, a rate'() {
    const pacer = limited()
    return () => pacer.run(work)
  },
  'Pacer, no rate'() {
    const pacer = new (tidegate().Pacer)()
    return () => pacer.run(work)
  },
  'Pacer, a limiter'() {
    const { Limiter, Pacer } = tidegate()
    const pacer = new Pacer(new Limiter(`${NEVER_REACHED}/second`), { key: 'api' })
    return () => pacer.run(work)
  },
  'Pacer, wrapped'() {
    return limited().wrap(work)
  },
  'Pacer, with a label'() {
    const pacer = limited()
    return () => pacer.run(work, { label: 'a' })
  },
  'Pacer, a response with headers'() {
    const pacer = limited()
    const headers = new Headers({ 'content-type': 'application/json', 'x-ratelimit-limit': '100' })
    const response = { status: 200, headers }
    return () => pacer.run(() => response)
  },
  async 'p-throttle'() {
    const { default: pThrottle } = await import('p-throttle')
    return pThrottle({ limit: NEVER_REACHED, interval: 1000 })(work)
  },
  'bottleneck, concurrency'() {
    return bottleneck()
  },
  'bottleneck, concurrency and a reservoir'() {
    return bottleneck({ reservoir: NEVER_REACHED })
  },
}

// A timer for each call, of a millisecond: fewer calls will do.
const hasTimers = (name) => name.startsWith('bottleneck')

async function measured(call, calls) {
  const before = computed()
  const start = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) await call()
  return { computed: (computed() - before) / calls, clock: Number(process.hrtime.bigint() - start) / calls }
}

async function oneSide({ name, turns, calls, settling }) {
  const side = await SIDES[name]()
  // By turns from the beginning: V8 knows that there are two.
  const taken = { bare: [], side: [] }
  for (let turn = -settling; turn < turns; turn++) {
    const bare = await measured(work, calls)
    const paced = await measured(side, hasTimers(name) ? Math.ceil(calls / 100) : calls)
    if (turn < 0) continue
    taken.bare.push(bare)
    taken.side.push(paced)
  }
  const of = (which, kind) => median(taken[which].map((one) => one[kind]))
  const above = (kind) => of('side', kind) - of('bare', kind)
  return { bare: of('bare', 'computed'), computed: above('computed'), clock: above('clock') }
}

function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '9' },
    },
  })
  const rounds = values.quick ? 1 : Math.max(Number(values.rounds) || 9, 7)
  const task = values.quick ? { turns: 3, calls: 200, settling: 1 } : { turns: 21, calls: 2_000, settling: 10 }
  const names = Object.keys(SIDES)
  const seen = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) seen.get(name).push(apart(__filename, { name, ...task }))
  }
  const rows = names.map((name) => {
    const of = (kind) => seen.get(name).map((one) => one[kind])
    const above = of('computed')
    return {
      name,
      unit: 'ns',
      bare: median(of('bare')),
      above: median(above),
      lowest: Math.min(...above),
      highest: Math.max(...above),
      clock: median(of('clock')),
    }
  })
  const ns = (number) => `${number.toFixed(0)} ns`.padStart(10)
  console.log(`The function alone: ${ns(median(rows.map(({ bare }) => bare))).trim()} of computing. Above it, a call:`)
  console.log('| side                                    | computes   | lowest     | highest    | by the clock |')
  console.log('| --------------------------------------- | ---------- | ---------- | ---------- | ------------ |')
  for (const { name, above, lowest, highest, clock } of rows) {
    console.log(`| ${name.padEnd(39)} | ${ns(above)} | ${ns(lowest)} | ${ns(highest)} | ${ns(clock).padStart(12)} |`)
  }
  console.log(`(${rounds} rounds, each side in a fresh process)`)
  if (values.quick) console.log('(tiny sizes: these figures mean nothing)')
  if (values.json) fs.writeFileSync(values.json, JSON.stringify({ host: 'node-pacer', rounds, rows }, null, 2) + '\n')
  const [paced] = rows
  if (!values.quick) assert(paced.above > 0, 'a pacer costs something')
  if (values.check && paced.above > MOST_NANOS) {
    console.error(`a call costs ${paced.above.toFixed(0)} ns more than the function; at most ${MOST_NANOS} are allowed`)
    process.exitCode = 1
  }
}

const task = taskOf(process.argv)
if (task === undefined) main()
else oneSide(task).then(report)
