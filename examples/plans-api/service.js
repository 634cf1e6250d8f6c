'use strict'

// A configuration service. Each API key is limited by the plan that its account pays for, each endpoint has limits of its own,
// and a request passes all that concern it or takes nothing: all of that is in examples/policies/plans.toml.

const { randomBytes } = require('node:crypto')
const http = require('node:http')
const path = require('node:path')

const express = require('express')
const { Limiter } = require('tidegate')
const { rateLimit } = require('tidegate/express')

const { streaming } = require('./stream.js')
const { Dashboard } = require('./dashboard.js')

const POLICY = path.join(__dirname, '../policies/plans.toml')

// A bulk write of so many entries is one request.
const MOST_ENTRIES = 500
const MOST_HOURS = 72

// Who pays for what. A real service asks its database.
const ACCOUNTS = {
  acme: { plan: 'starter', keys: ['sk_acme_web_7f3a', 'sk_acme_jobs_91bd'] },
  globex: { plan: 'pro', keys: ['sk_globex_app_c04e'] },
  initech: { plan: 'enterprise', keys: ['sk_initech_core_5d21'] },
}

// `clock`: for tests. `adminToken`: who has it may raise plans for a time and see use; none: nobody may.
function createService({ accounts = ACCOUNTS, policy = POLICY, clock, adminToken } = {}) {
  const limiter = Limiter.fromFile(policy, clock ? { clock } : {})
  const accountOf = new Map()
  for (const [account, { plan, keys }] of Object.entries(accounts)) {
    limiter.assign(account, plan)
    for (const key of keys) accountOf.set(key, account)
  }
  const dashboard = new Dashboard(limiter, accountOf)

  // Who asks, for the limiter: null for a key that nobody has.
  const identityOf = (req) => {
    const key = keyOf(req)
    return accountOf.has(key) ? { key, account: accountOf.get(key) } : null
  }

  const app = express()
  app.disable('x-powered-by')
  app.use('/v3', (req, res, next) => {
    req.identity = identityOf(req)
    if (req.identity === null) return res.status(401).json({ error: { code: 'UNAUTHORIZED', message: 'Unknown API key.' } })
    res.on('finish', () => dashboard.count(req.identity.key, res.statusCode))
    next()
  })
  app.use('/v3', rateLimit({ limiter, identify: (req) => req.identity }))
  app.use('/v3', express.json({ limit: '1mb' }), configurations(limiter, accountOf))
  app.use('/usage', dashboard.pages(adminToken))
  app.post('/admin/accounts/:account/plan', express.json(), (req, res) => {
    if (!adminToken || req.get('x-admin-token') !== adminToken) return res.status(403).json({ error: { code: 'FORBIDDEN' } })
    raise(limiter, req.params.account, req.body, res)
  })

  const server = http.createServer(app)
  streaming(server, limiter, identityOf, dashboard)
  server.on('close', () => dashboard.close())
  return { server, limiter, dashboard }
}

// The service itself: it knows nothing of limits but its report.
function configurations(limiter, accountOf) {
  const configs = new Map()
  const of = (account) => configs.get(account) ?? configs.set(account, new Map()).get(account)
  const router = express.Router()
  router.get('/configs', (req, res) => res.json(Object.fromEntries(of(req.identity.account))))
  router.get('/configs/:key', (req, res) => {
    const value = of(req.identity.account).get(req.params.key)
    if (value === undefined) return res.status(404).json({ error: { code: 'NOT_FOUND' } })
    res.json({ key: req.params.key, value })
  })
  router.post('/configs', (req, res) => {
    const entries = Object.entries(req.body ?? {})
    if (entries.length > MOST_ENTRIES) return res.status(413).json({ error: { code: 'TOO_MANY_ENTRIES' } })
    for (const [key, value] of entries) of(req.identity.account).set(key, value)
    res.status(201).json({ written: entries.length })
  })
  router.put('/configs/:key', (req, res) => {
    of(req.identity.account).set(req.params.key, req.body?.value ?? null)
    res.json({ key: req.params.key })
  })
  router.delete('/configs/:key', (req, res) => {
    of(req.identity.account).delete(req.params.key)
    res.status(204).end()
  })
  router.post('/environments', (req, res) => res.status(201).json({ environment: req.body?.name ?? 'unnamed' }))
  router.post('/keys', (req, res) => {
    const key = `sk_${req.identity.account}_${randomBytes(12).toString('hex')}`
    accountOf.set(key, req.identity.account)
    res.status(201).json({ key })
  })
  // What the account has used in the last 24 hours.
  router.get('/usage', (req, res) => res.json(limiter.usage({ ...req.identity, route: 'GET /v3/usage' })))
  return router
}

// A temporary increase, which ends by itself.
function raise(limiter, account, { plan, hours } = {}, res) {
  if (!(hours > 0 && hours <= MOST_HOURS)) {
    return res.status(400).json({ error: { code: 'BAD_REQUEST', message: `hours: from 0 to ${MOST_HOURS}` } })
  }
  try {
    limiter.assign(account, plan, { durationMs: hours * 3_600_000 })
    res.status(204).end()
  } catch (error) {
    res.status(400).json({ error: { code: 'BAD_REQUEST', message: error.message } })
  }
}

function keyOf(req) {
  const [, key] = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '') ?? []
  return key
}

module.exports = { createService, ACCOUNTS, POLICY }
