'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { test } = require('node:test')

const { ManualClock } = require('tidegate')
const { WebSocket } = require('ws')

const { createService, ACCOUNTS } = require('./service.js')

const NOON = Date.UTC(2026, 0, 1, 12)
const [WEB, JOBS] = ACCOUNTS.acme.keys
const [PRO] = ACCOUNTS.globex.keys

async function started(t, options) {
  const clock = new ManualClock(NOON)
  const service = createService({ clock, adminToken: 'sesame', ...options })
  service.server.listen(0, '127.0.0.1')
  await once(service.server, 'listening')
  t.after(() => (service.server.closeAllConnections(), service.server.close()))
  const host = `127.0.0.1:${service.server.address().port}`
  const ask = async (path, { key = WEB, method = 'GET', body, headers } = {}) => {
    const response = await fetch(`http://${host}${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text && /json/.test(response.headers.get('content-type')) ? JSON.parse(text) : text }
  }
  const connect = (key = WEB) => {
    const socket = new WebSocket(`ws://${host}/v3/stream`, { headers: { authorization: `Bearer ${key}` } })
    t.after(() => socket.on('error', () => {}).terminate())
    return socket
  }
  const used = (key, limit, route = 'WS /v3/stream') => {
    const { buckets } = service.limiter.snapshot({ key, account: 'acme', route })
    return buckets.find((one) => one.limit === limit).used
  }
  return { ...service, clock, host, ask, connect, used }
}

test('P2, P3, P8, P9: a minute of 60, then a pool of 10 that refills at one a second', async (t) => {
  const { ask, clock, used } = await started(t)
  // Another endpoint each time, for each has a limit of its own.
  const paths = ['/v3/configs', '/v3/usage']
  for (let i = 0; i < 70; i++) {
    const { status, headers } = await ask(paths[i % 2])
    assert.equal(status, 200)
    assert.equal(headers.get('x-ratelimit-limit'), '60')
    assert.equal(headers.get('x-ratelimit-remaining'), String(Math.max(59 - i, 0)))
    assert.equal(headers.get('x-ratelimit-burst'), String(Math.min(69 - i, 10)))
    assert.match(headers.get('x-ratelimit-reset'), /^\d{10}$/)
    assert.equal(headers.get('retry-after'), null)
  }
  const denied = await ask('/v3/usage')
  assert.deepEqual([denied.status, denied.headers.get('retry-after')], [429, '1'])
  clock.advance(1000)
  assert.equal((await ask('/v3/usage')).status, 200)
  clock.advance(59_000)
  assert.equal((await ask('/v3/usage')).status, 200)
  assert.equal(used(WEB, 'minute'), 1)
})

test('P4, P10: an endpoint has limits of its own, and a denied request takes nothing', async (t) => {
  const { ask, used } = await started(t)
  for (let i = 0; i < 10; i++) assert.equal((await ask(`/v3/configs/${i}`, { method: 'DELETE' })).status, 204)
  const { status, headers, body } = await ask('/v3/configs/10', { method: 'DELETE' })
  assert.equal(status, 429)
  assert.equal(headers.get('retry-after'), '60')
  assert.deepEqual(body.error.details, {
    limit: 10,
    remaining: 0,
    reset_at: '2026-01-01T12:01:00Z',
    retry_after_seconds: 60,
    plan: 'starter',
  })
  assert.equal(body.error.code, 'RATE_LIMIT_EXCEEDED')
  assert.equal(used(WEB, 'hour'), 10)
  // However the path is written.
  assert.equal((await ask('/V3/Configs/11/', { method: 'DELETE' })).status, 429)
})

test('P5: the keys of an account share its day; P7: a bulk write is one request', async (t) => {
  const { ask, used } = await started(t)
  const entries = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, i]))
  assert.deepEqual((await ask('/v3/configs', { method: 'POST', body: entries })).body, { written: 500 })
  assert.equal((await ask('/v3/configs/k7', { key: JOBS })).body.value, 7)
  assert.deepEqual([used(WEB, 'day'), used(JOBS, 'day')], [2, 2])
  assert.deepEqual([used(WEB, 'hour'), used(JOBS, 'hour')], [1, 1])
})

test('P6: connections by plan; an attempt costs as a GET, messages are free', async (t) => {
  const { connect, ask, used, limiter } = await started(t)
  const open = Array.from({ length: 5 }, () => connect())
  for (const socket of open) await once(socket, 'open')
  assert.equal(used(WEB, 'connections'), 5)
  assert.equal(used(WEB, 'list configs, minute'), 5)
  const sixth = connect()
  const [, response] = await once(sixth, 'unexpected-response')
  assert.equal(response.statusCode, 429)
  assert.equal(response.headers['x-ratelimit-limit'], '5')
  assert.ok(Number(response.headers['retry-after']) >= 1)
  assert.equal(used(WEB, 'list configs, minute'), 5)
  const before = limiter.stats().allowed
  for (let i = 0; i < 20; i++) {
    open[0].send(String(i))
    const [answer] = await once(open[0], 'message')
    assert.equal(String(answer), String(i))
  }
  assert.equal(limiter.stats().allowed, before)
  // One goes politely, one does not; both permits come back.
  open[0].close()
  open[1].terminate()
  while (used(WEB, 'connections') > 3) await new Promise(setImmediate)
  const again = connect()
  await once(again, 'open')
  assert.equal(used(WEB, 'connections'), 4)
  // A handshake that is none takes no permit for long.
  const bad = await ask('/v3/stream', { headers: {} })
  assert.equal(bad.status, 404)
  for (const socket of [...open, again]) socket.terminate()
  while (used(WEB, 'connections') > 0) await new Promise(setImmediate)
})

test('a WebSocket to what is no URL is told so, and the service goes on', async (t) => {
  const { host, ask } = await started(t)
  const socket = net.connect(Number(host.split(':')[1]), '127.0.0.1')
  socket.write('GET // HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1.1 404 /)
  assert.equal((await ask('/v3/configs')).status, 200)
})

test('P11: the report of 24 hours', async (t) => {
  const { ask } = await started(t)
  for (let i = 0; i < 3; i++) await ask('/v3/configs')
  await ask('/v3/configs/k', { method: 'PUT', body: { value: 1 } })
  const { body } = await ask('/v3/usage')
  assert.equal(body.plan, 'starter')
  assert.equal(body.total, 5)
  assert.deepEqual(body.limit, { name: 'day', quota: 50_000, remaining: 49_995, utilizationPermille: 0 })
  assert.deepEqual(body.byKind[0], { kind: 'GET /v3/configs', units: 3 })
  assert.ok(body.byKind.some(({ kind, units }) => kind === 'PUT /v3/configs/:key' && units === 1))
})

test('P12: thresholds are told; P13: a plan is raised for a time', async (t) => {
  const { ask, dashboard, clock } = await started(t)
  // 80 % of 60 and of the pool's 10.
  for (let i = 0; i < 56; i++) await ask('/v3/configs')
  assert.deepEqual(dashboard.report().alerts.map(({ limit, percent, account }) => [limit, percent, account]), [['minute', 80, 'acme']])
  const raise = (body, token = 'sesame') =>
    ask('/admin/accounts/acme/plan', { method: 'POST', body, headers: { 'x-admin-token': token } })
  assert.equal((await raise({ plan: 'pro', hours: 72 }, 'guess')).status, 403)
  assert.equal((await raise({ plan: 'pro', hours: 73 })).status, 400)
  assert.equal((await raise({ plan: 'prp', hours: 1 })).status, 400)
  assert.equal((await raise({ plan: 'pro', hours: 72 })).status, 204)
  const { headers, body } = await ask('/v3/usage')
  assert.deepEqual([body.plan, headers.get('x-ratelimit-limit')], ['pro', '600'])
  clock.advance(72 * 3_600_000)
  assert.equal((await ask('/v3/usage')).body.plan, 'starter')
})

test('a key that nobody has is told so, and costs nobody', async (t) => {
  const { ask, connect, limiter } = await started(t)
  assert.equal((await ask('/v3/configs', { key: 'sk_nobody' })).status, 401)
  const [, response] = await once(connect('sk_nobody'), 'unexpected-response')
  assert.equal(response.statusCode, 401)
  assert.equal(limiter.stats().allowed, 0)
})

test('/usage: for those with the token; keys are masked', async (t) => {
  const { ask } = await started(t)
  await ask('/v3/configs', { key: PRO })
  assert.equal((await ask('/usage')).status, 403)
  assert.match((await ask('/usage?token=sesame')).body, /<h1>Usage by key<\/h1>/)
  const { body } = await ask('/usage/report?token=sesame')
  assert.equal(body.keys.length, 4)
  const pro = body.keys.find(({ account }) => account === 'globex')
  assert.equal(pro.usage.total, 1)
  assert.ok(!JSON.stringify(body).includes(PRO))
  assert.equal(pro.key, 'sk_globex_app_…c04e')
})
