'use strict'

// The page /usage: who uses how much of which limit, now and over the last minutes. It reads what the limiter reports, and
// counts answers a second for the plot.

const { timingSafeEqual, createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const express = require('express')

const PAGE = fs.readFileSync(path.join(__dirname, 'usage.html'), 'utf8')
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

// Limits of endpoints are told of requests to them.
const ROUTES = [
  'GET /v3/configs',
  'GET /v3/configs/:key',
  'POST /v3/configs',
  'PUT /v3/configs/:key',
  'DELETE /v3/configs/:key',
  'POST /v3/environments',
  'POST /v3/keys',
  'WS /v3/stream',
]

const SECONDS = 120
const MOST_ALERTS = 20

class Dashboard {
  #limiter
  #accountOf
  #series = new Map()
  #alerts = []
  #watchers = new Set()
  #timer

  constructor(limiter, accountOf) {
    this.#limiter = limiter
    this.#accountOf = accountOf
    limiter.onAlert((alert) => this.#alert(alert))
    // Nobody waits for it.
    this.#timer = setInterval(() => this.tick(), 1000).unref()
  }

  // An answer to a key.
  count(key, status) {
    const now = this.#of(key).at(-1)
    if (status === 429) now.denied++
    else now.admitted++
  }

  // The next second begins.
  tick() {
    for (const key of this.#accountOf.keys()) {
      const series = this.#of(key)
      series.push({ admitted: 0, denied: 0 })
      if (series.length > SECONDS + 1) series.shift()
    }
    if (this.#watchers.size === 0) return
    const event = `data: ${JSON.stringify(this.report())}\n\n`
    for (const res of this.#watchers) res.write(event)
  }

  report() {
    const keys = [...this.#accountOf].map(([key, account]) => this.#reportOf(key, account))
    return { seconds: SECONDS, keys, alerts: this.#alerts }
  }

  // The page, and its data as it changes. With a token, for those who have it: as a query, for a browser sends no header.
  pages(token) {
    const router = express.Router()
    router.use((req, res, next) => {
      if (token && !same(String(req.query.token ?? ''), token)) return res.status(403).type('text').send('Give ?token=…\n')
      next()
    })
    router.get('/', (req, res) => res.set('Content-Security-Policy', POLICY).type('html').send(PAGE))
    router.get('/report', (req, res) => res.json(this.report()))
    router.get('/events', (req, res) => {
      res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
      res.write(`data: ${JSON.stringify(this.report())}\n\n`)
      this.#watchers.add(res)
      res.on('close', () => this.#watchers.delete(res))
    })
    return router
  }

  close() {
    clearInterval(this.#timer)
    for (const res of this.#watchers) res.end()
  }

  #of(key) {
    if (!this.#series.has(key)) this.#series.set(key, [{ admitted: 0, denied: 0 }])
    return this.#series.get(key)
  }

  #reportOf(key, account) {
    const request = { key, account }
    const snapshots = ROUTES.map((route) => this.#limiter.snapshot({ ...request, route }))
    const buckets = snapshots.flatMap((snapshot) => snapshot.buckets)
    const named = new Map(buckets.map((bucket) => [`${bucket.limit}/${bucket.name}`, bucket]))
    const [{ blockedForMs }] = snapshots
    // Routes tell kinds of call apart; the report is about none of them.
    const usage = this.#limiter.usage(request)
    // The second that is under way is not over.
    const series = this.#of(key).slice(0, -1)
    return { key: masked(key), account, blockedForMs, buckets: [...named.values()], usage, series }
  }

  #alert({ limit, thresholdPermille, request: { key, account } }) {
    const at = new Date().toISOString()
    this.#alerts.unshift({ at, limit, percent: thresholdPermille / 10, key: key ? masked(key) : null, account })
    this.#alerts.length = Math.min(this.#alerts.length, MOST_ALERTS)
  }
}

// Enough of a key to know it by.
function masked(key) {
  return `${key.slice(0, -4).replace(/[^_]+$/, '')}…${key.slice(-4)}`
}

function same(given, wanted) {
  const hash = (text) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(given), hash(wanted))
}

module.exports = { Dashboard }
