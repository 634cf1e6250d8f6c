'use strict'

// What a rate limiter adds to a request: Tidegate's adapters beside the middleware that their frameworks' users know.
//
//   node benches/node/adapters.js [--quick] [--json PATH] [--check] [--rounds N] [--only Fastify]
//
// Node's own HTTP server parses and answers each request, on a connection that ends in the same process (see wire.js). Each
// round asks each side in a fresh process, one after the other. There an app with the limiter and the same app without take
// turns, many times; the median of their differences is what the limiter adds. Told are the median of the rounds, and the
// lowest and the highest of them: how far others on the machine disturb. Time is what the process computes, its collector and
// compiler included. Both sides send X-RateLimit-Limit, -Remaining and -Reset on every response.

const assert = require('node:assert')
const fs = require('node:fs')
const http = require('node:http')
const { parseArgs } = require('node:util')

const { apart, taskOf, report, computed, median } = require('./apart.js')
const { Wire } = require('./wire.js')

// Nobody reaches it.
const LIMIT = 1_000_000_000
const WINDOW = 600_000
const FIELDS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']
const CLIENTS = 64

const keyOf = (request) => request.headers['x-key']

function expressServer(limiter) {
  const app = require('express')()
  app.disable('x-powered-by')
  if (limiter) app.use(limiter)
  app.get('/', (request, response) => response.end('ok'))
  return http.createServer(app)
}

async function fastifyServer(plugin, options) {
  const app = require('fastify')()
  if (plugin) await app.register(plugin, options)
  app.get('/', (request, reply) => reply.send('ok'))
  await app.ready()
  return app.server
}

const express = {
  alone: () => expressServer(),
  ours: (options) => expressServer(require('../../bindings-node/adapters/express.js').rateLimit(options)),
  peer: (options) => expressServer(require('express-rate-limit').rateLimit({ ...options, validate: false })),
}

const fastify = {
  alone: () => fastifyServer(),
  ours: (options) => fastifyServer(require('../../bindings-node/adapters/fastify.js'), options),
  peer: (options) => fastifyServer(require('@fastify/rate-limit'), options),
}

// A budget of time and permits: what is given back when the response is over. Peers have no such thing.
function timed() {
  const { Limiter } = require('../../bindings-node')
  const limits = [
    { name: 'time', method: 'latency', rate: '1h/minute', by: ['ip'] },
    { name: 'permits', method: 'concurrency', quota: 1000, by: ['ip'] },
  ]
  return { limiter: new Limiter({ limit: limits }) }
}

const KINDS = {
  'Express, by address': { framework: express, peer: 'express-rate-limit', options: () => ({ windowMs: WINDOW, limit: LIMIT }) },
  'Express, by key': {
    framework: express,
    peer: 'express-rate-limit',
    options: () => ({ windowMs: WINDOW, limit: LIMIT, keyGenerator: keyOf }),
  },
  'Express, time and permits': { framework: express, options: timed },
  'Fastify, by address': { framework: fastify, peer: '@fastify/rate-limit', options: () => ({ timeWindow: WINDOW, max: LIMIT }) },
  'Fastify, by key': {
    framework: fastify,
    peer: '@fastify/rate-limit',
    options: () => ({ timeWindow: WINDOW, max: LIMIT, keyGenerator: keyOf }),
  },
  'Fastify, time and permits': { framework: fastify, options: timed },
}

// Clients take turns, each on a connection of its own.
function clientsOf(server) {
  const clients = Array.from({ length: CLIENTS }, (_, number) => {
    const wire = new Wire(server, `203.0.113.${number}`)
    const request = Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Key: client ${number}\r\n\r\n`)
    return () => wire.ask(request, 'ok')
  })
  let next = 0
  return () => clients[next++ % CLIENTS]()
}

// What it computes for a request.
async function taken(ask, requests) {
  const before = computed()
  for (let i = 0; i < requests; i++) {
    await ask()
    // What nobody waits for has its turn, too; else it piles up, and memory with it.
    if (i % 32 === 31) await new Promise(setImmediate)
  }
  return (computed() - before) / requests / 1000
}

async function oneSide({ what, which, turns, requests, settling }) {
  const { framework, options, peer } = KINDS[what]
  const alone = clientsOf(await framework.alone())
  const limited = clientsOf(await framework[which](options()))
  const answer = (await limited()).toLowerCase()
  assert.match(answer, /^http\/1.1 200 /)
  if (peer) for (const field of FIELDS) assert.ok(answer.includes(`\r\n${field}: `), field)
  const times = []
  for (let turn = -settling; turn < turns; turn++) {
    // Another one begins each time.
    const first = turn % 2 === 0
    const early = await taken(first ? alone : limited, requests)
    const late = await taken(first ? limited : alone, requests)
    const [without, within] = first ? [early, late] : [late, early]
    if (turn >= 0) times.push({ without, added: within - without })
  }
  return { alone: median(times.map((one) => one.without)), added: median(times.map((one) => one.added)) }
}

function spread(seen) {
  const added = seen.map((one) => one.added)
  return { added: median(added), lowest: Math.min(...added), highest: Math.max(...added) }
}

function compare(what, rounds, task) {
  const { peer } = KINDS[what]
  const seen = { ours: [], peer: [] }
  for (let round = 0; round < rounds; round++) {
    for (const which of peer ? ['ours', 'peer'] : ['ours']) seen[which].push(apart(__filename, { what, which, ...task }))
  }
  const ours = spread(seen.ours)
  const row = { what, unit: 'us', alone: median(seen.ours.map((one) => one.alone)), ours }
  if (!peer) return row
  const theirs = spread(seen.peer)
  return { ...row, peer_name: peer, peer: theirs, holds: ours.added < theirs.added }
}

function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '9' },
      only: { type: 'string', default: '' },
    },
  })
  const rounds = values.quick ? 1 : Math.max(Number(values.rounds) || 9, 7)
  const task = values.quick ? { turns: 4, requests: 64, settling: 2 } : { turns: 40, requests: 320, settling: 20 }
  const us = ({ added, lowest, highest }) => `${added.toFixed(1)} µs (${lowest.toFixed(1)} to ${highest.toFixed(1)})`
  console.log('| what                      | app alone | Tidegate adds             | the peer adds                                  | lowest |')
  console.log('| ------------------------- | --------- | ------------------------- | ---------------------------------------------- | ------ |')
  const rows = []
  for (const what of Object.keys(KINDS).filter((name) => name.includes(values.only))) {
    const row = compare(what, rounds, task)
    rows.push(row)
    const peer = row.peer ? `${us(row.peer)} ${row.peer_name}` : 'has none'
    const holds = row.holds === undefined ? '' : row.holds ? 'yes' : 'NO'
    const alone = `${row.alone.toFixed(1)} µs`
    console.log(`| ${what.padEnd(25)} | ${alone.padEnd(9)} | ${us(row.ours).padEnd(25)} | ${peer.padEnd(46)} | ${holds.padEnd(6)} |`)
  }
  console.log(`(${rounds} rounds, each side in a fresh process; in brackets the lowest and the highest round)`)
  if (values.quick) console.log('(tiny sizes: these figures mean nothing)')
  if (values.json) fs.writeFileSync(values.json, JSON.stringify({ host: 'node-adapters', rounds, rows }, null, 2) + '\n')
  if (values.check && rows.some((row) => row.holds === false)) process.exitCode = 1
}

const task = taskOf(process.argv)
if (task === undefined) main()
else oneSide(task).then(report)
