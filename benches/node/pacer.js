'use strict'

// What a pacer costs a call that need not wait, beside its peers and the bare call: by turns, medians.
//
//   node benches/node/pacer.js [--quick] [--json PATH] [--check]

const assert = require('node:assert')
const fs = require('node:fs')
const { parseArgs } = require('node:util')

const Bottleneck = require('bottleneck')
const { Limiter, Pacer } = require('../../bindings-node')

// The most that a call may cost above calling the function itself.
const MOST_NANOS = 1000
const NEVER_REACHED = 1_000_000_000

const work = async () => 1

async function sides() {
  const { default: pThrottle } = await import('p-throttle')
  const throttled = pThrottle({ limit: NEVER_REACHED, interval: 1000 })(work)
  const bottleneck = new Bottleneck({ maxConcurrent: 10 })
  const bottled = new Bottleneck({ maxConcurrent: 10, reservoir: NEVER_REACHED })
  const limited = new Pacer(`${NEVER_REACHED}/second`)
  const free = new Pacer()
  const shared = new Pacer(new Limiter(`${NEVER_REACHED}/second`), { key: 'api' })
  const wrapped = limited.wrap(work)
  const headers = new Headers({ 'content-type': 'application/json', 'x-ratelimit-limit': '100' })
  const response = { status: 200, headers }
  return {
    'the function alone': () => work(),
    'Pacer, a rate': () => limited.run(work),
    'Pacer, no rate': () => free.run(work),
    'Pacer, a limiter': () => shared.run(work),
    'Pacer, wrapped': () => wrapped(),
    'Pacer, with a label': () => limited.run(work, { label: 'a' }),
    'Pacer, a response with headers': () => limited.run(() => response),
    'p-throttle': () => throttled(),
    'bottleneck, concurrency': () => bottleneck.schedule(work),
    'bottleneck, concurrency and a reservoir': () => bottled.schedule(work),
  }
}

async function nanos(call, calls) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) await call()
  return Number(process.hrtime.bigint() - start) / calls
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function main() {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, check: { type: 'boolean', default: false } },
  })
  const [rounds, calls] = values.quick ? [5, 500] : [21, 10_000]
  const all = Object.entries(await sides())
  const seen = new Map(all.map(([name]) => [name, []]))
  const hasTimers = ([name]) => name.startsWith('bottleneck')
  // bottleneck has a timer for each call, of a millisecond: it is asked less often, and after the others, since an idle
  // processor is a cold one.
  for (const group of [all.filter((side) => !hasTimers(side)), all.filter(hasTimers)]) {
    for (let round = -2; round < rounds; round++) {
      for (const [name, call] of group) {
        const taken = await nanos(call, name.startsWith('bottleneck') ? calls / 500 : calls)
        if (round >= 0) seen.get(name).push(taken)
      }
    }
  }
  const bare = median(seen.get('the function alone'))
  const rows = all.map(([name]) => ({ name, unit: 'ns', median: median(seen.get(name)), above: median(seen.get(name)) - bare }))
  for (const { name, median, above } of rows) {
    console.log(`| ${name.padEnd(40)} | ${median.toFixed(0).padStart(7)} ns | ${above.toFixed(0).padStart(7)} ns above |`)
  }
  if (values.quick) console.log('(tiny sizes: these figures mean nothing)')
  if (values.json) fs.writeFileSync(values.json, JSON.stringify({ host: 'node', rows }, null, 2) + '\n')
  const paced = rows.find(({ name }) => name === 'Pacer, a rate')
  assert(paced.above > 0, 'a pacer costs something')
  // Peers leave timers behind.
  process.exit(values.check && paced.above > MOST_NANOS ? 1 : 0)
}

main().catch((error) => {
  console.error(error)
  process.exit(2)
})
