// The Node host: replays an event file through the package.
//
//     node replay.js EVENTS POLICY OUT
//
// reads the event file (its lines are described in src/event.rs), and writes OUT/node.decisions
// and OUT/node.json (described in src/outcome.rs).
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Limiter } = require('tidegate')

// The same events are run through so many fresh limiters, for a steady time.
const PASSES = 5
// A wait that never ends, in the decisions' file.
const NEVER = 2n ** 64n - 1n

// The bytes of a percent-encoded key. Not decodeURIComponent: a key need not be UTF-8.
function decode(text) {
  const bytes = text.replace(/%([0-9A-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)))
  return Buffer.from(bytes, 'latin1')
}

// { kind, atNs, key, id, durationNs } for each line; the last is the only snapshot.
function readEvents(file) {
  const lines = fs.readFileSync(file, 'ascii').split('\n').filter(Boolean)
  const events = lines.map((line) => {
    const [kind, atNs, key, ...numbers] = line.split(' ')
    const durationNs = kind === 'L' ? BigInt(numbers[0]) : 0n
    return { kind, atNs: BigInt(atNs), key: decode(key), id: Number(numbers.at(-1)), durationNs }
  })
  if (events.at(-1)?.kind !== 'S') throw new Error(`${file}: the last line is not a snapshot`)
  return events
}

// Runs all events through a limiter: the decisions, and the seconds that took.
function replay(limiter, events) {
  const decisions = []
  const start = process.hrtime.bigint()
  for (const { kind, atNs, key, id, durationNs } of events) {
    if (kind === 'A') decisions[id] = limiter.acquireAt(key, 1, atNs)
    else if (kind === 'L' && decisions[id].allowed) limiter.recordLatencyAt(key, durationNs, atNs)
  }
  return { decisions, seconds: Number(process.hrtime.bigint() - start) / 1e9 }
}

function line(d, id) {
  const waits = `${d.retryAfterNs ?? NEVER} ${d.resetAfterNs ?? NEVER}`
  return `${id} ${Number(d.allowed)} ${d.reason} ${d.limit} ${d.remaining} ${waits} ${d.name}\n`
}

// JSON with every whole number exact: a bigint is written by its digits.
function bucket(b) {
  const texts = { limit: b.limit, name: b.name, method: b.method }
  const numbers = {
    quota: b.quota,
    capacity: b.capacity,
    used: b.used,
    remaining: b.remaining,
    refresh_after_ns: b.refreshAfterNs,
  }
  const fields = [
    ...Object.entries(texts).map(([name, text]) => `"${name}": ${JSON.stringify(text)}`),
    ...Object.entries(numbers).map(([name, number]) => `"${name}": ${number}`),
  ]
  return `{${fields.join(', ')}}`
}

function main(eventFile, policy, out) {
  const events = readEvents(eventFile)
  const seconds = []
  let limiter, decisions
  for (let pass = 0; pass < PASSES; pass++) {
    limiter = Limiter.fromFile(policy)
    const run = replay(limiter, events)
    decisions = run.decisions
    seconds.push(run.seconds)
  }
  seconds.sort((a, b) => a - b)
  const { key, atNs } = events.at(-1)
  const buckets = limiter.snapshotAt(key, atNs).buckets.map(bucket)
  const admitted = decisions.filter((decision) => decision.allowed).length
  const summary = `{"decisions": ${decisions.length}, "admitted": ${admitted},
 "seconds": ${seconds[PASSES >> 1]}, "buckets": [\n  ${buckets.join(',\n  ')}]}\n`
  fs.writeFileSync(path.join(out, 'node.decisions'), decisions.map(line).join(''))
  fs.writeFileSync(path.join(out, 'node.json'), summary)
}

if (process.argv.length !== 5) {
  console.error('usage: replay.js EVENTS POLICY OUT')
  process.exitCode = 1
} else {
  main(...process.argv.slice(2))
}
