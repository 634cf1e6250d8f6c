'use strict'

// What a rate limiter adds to a request: Tidegate's adapters beside the middleware that their frameworks' users know, on the
// same app, in one run.
//
//   node benches/node/adapters.js [--quick] [--json PATH] [--check] [--rounds N]
//
// Each app is called without a network (light-my-request, Fastify's own `inject`), and what is counted is the processor time
// of this process, so that others on the machine disturb little. The apps take turns in each round; what a limiter adds
// is the difference to the app without one, and the median of the rounds is told. Both sides send X-RateLimit-Limit,
// -Remaining and -Reset on every response.

const assert = require('node:assert')
const fs = require('node:fs')
const { parseArgs } = require('node:util')

const express = require('express')
const fastify = require('fastify')
const inject = require('light-my-request')
const peerOfExpress = require('express-rate-limit')
const peerOfFastify = require('@fastify/rate-limit')

const ours = require('../../bindings-node/adapters/express.js')
const oursOfFastify = require('../../bindings-node/adapters/fastify.js')

// Nobody reaches it.
const LIMIT = 1_000_000_000
const WINDOW = 600_000
const FIELDS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']

function expressApp(limiter) {
  const app = express()
  app.disable('x-powered-by')
  if (limiter) app.use(limiter)
  app.get('/', (req, res) => res.end('ok'))
  return (request) => inject(app, request)
}

async function fastifyApp(plugin, options) {
  const app = fastify()
  if (plugin) await app.register(plugin, options)
  app.get('/', (request, reply) => reply.send('ok'))
  await app.ready()
  return (request) => app.inject(request)
}

async function kinds() {
  const expressOptions = { windowMs: WINDOW, limit: LIMIT }
  const fastifyOptions = { max: LIMIT, timeWindow: WINDOW }
  return [
    {
      what: 'Express, by address',
      peer: 'express-rate-limit',
      apps: [
        expressApp(),
        expressApp(ours.rateLimit(expressOptions)),
        expressApp(peerOfExpress.rateLimit({ ...expressOptions, validate: false })),
      ],
    },
    {
      what: 'Express, by key',
      peer: 'express-rate-limit',
      apps: [
        expressApp(),
        expressApp(ours.rateLimit({ ...expressOptions, keyGenerator: keyOf })),
        expressApp(peerOfExpress.rateLimit({ ...expressOptions, keyGenerator: keyOf, validate: false })),
      ],
    },
    {
      what: 'Fastify, by address',
      peer: '@fastify/rate-limit',
      apps: [
        await fastifyApp(),
        await fastifyApp(oursOfFastify, fastifyOptions),
        await fastifyApp(peerOfFastify, fastifyOptions),
      ],
    },
    {
      what: 'Fastify, by key',
      peer: '@fastify/rate-limit',
      apps: [
        await fastifyApp(),
        await fastifyApp(oursOfFastify, { ...fastifyOptions, keyGenerator: keyOf }),
        await fastifyApp(peerOfFastify, { ...fastifyOptions, keyGenerator: keyOf }),
      ],
    },
  ]
}

const keyOf = (request) => request.headers['x-key']

// Clients take turns, as their addresses do.
const requests = Array.from({ length: 64 }, (_, number) => ({
  url: '/',
  method: 'GET',
  remoteAddress: `203.0.113.${number}`,
  headers: { 'x-key': `client ${number}` },
}))

// Microseconds of processor time a request.
async function timed(app, calls) {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) {
    await app(requests[i & 63])
    // What nobody waits for has its turn, too; else it piles up, and memory with it.
    if ((i & 31) === 31) await new Promise(setImmediate)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

async function checked({ apps }) {
  const [, mine, theirs] = apps
  for (const app of [mine, theirs]) {
    const { headers, statusCode } = await app(requests[0])
    assert.strictEqual(statusCode, 200)
    for (const field of FIELDS) assert.ok(headers[field] !== undefined, field)
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function compare({ what, peer, apps }, rounds, calls) {
  const added = []
  for (let round = -3; round < rounds; round++) {
    // Another one begins each time.
    const times = []
    for (let i = 0; i < apps.length; i++) {
      const which = (i + round + 3) % apps.length
      times[which] = await timed(apps[which], calls)
    }
    if (round >= 0) added.push([times[1] - times[0], times[2] - times[0], times[0]])
  }
  const [mine, theirs, plain] = [0, 1, 2].map((side) => median(added.map((round) => round[side])))
  return { what, peer_name: peer, unit: 'us', app: plain, ours: mine, peer: theirs, holds: mine < theirs }
}

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '31' },
    },
  })
  const rounds = values.quick ? 3 : Math.max(Number(values.rounds) || 31, 5)
  const rows = []
  console.log('| what                | app alone | Tidegate adds | peer adds                  | lowest |')
  console.log('| ------------------- | --------- | ------------- | -------------------------- | ------ |')
  for (const kind of await kinds()) {
    await checked(kind)
    const row = await compare(kind, rounds, values.quick ? 200 : 1_000)
    rows.push(row)
    const { what, app, ours: mine, peer, peer_name: name, holds } = row
    const us = (number) => `${number.toFixed(1)} µs`
    console.log(
      `| ${what.padEnd(19)} | ${us(app).padEnd(9)} | ${us(mine).padEnd(13)} | ${`${us(peer)} (${name})`.padEnd(26)} | ${holds ? 'yes' : 'NO'}    |`,
    )
  }
  if (values.quick) console.log('(tiny sizes: these figures mean nothing)')
  if (values.json) fs.writeFileSync(values.json, JSON.stringify({ host: 'node-adapters', rows }, null, 2) + '\n')
  // Peers leave timers behind.
  process.exit(values.check && rows.some((row) => !row.holds) ? 1 : 0)
}

main().catch((error) => {
  console.error(error)
  process.exit(2)
})
