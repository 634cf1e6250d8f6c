'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const { once } = require('node:events')
const { test } = require('node:test')

const { Limiter, ManualClock } = require('tidegate')
const { ENTER } = require('../lib/limiter.js')
const { rateLimit } = require('tidegate/express')
const { suite, START } = require('./adapters/suite.js')

suite('express')

// Serves an app, and gives a `get` that asks it.
async function served(t, app) {
  const server = http.createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  return (path, init) => fetch(`http://127.0.0.1:${server.address().port}${path}`, init)
}

const byRoute = () => new Limiter({ limit: [{ name: 'r', rate: '100/minute', by: ['route'] }] })

for (const version of ['express', 'express4']) {
  const express = require(version)

  test(`${version}: the route is found wherever the limiter stands`, async (t) => {
    const seen = []
    const identify = () => ({})
    const limiter = byRoute()
    const enter = limiter[ENTER].bind(limiter)
    limiter[ENTER] = (subject, cost, style) => (seen.push(subject.route), enter(subject, cost, style))
    const limit = rateLimit({ limiter, identify })
    const ok = (req, res) => res.json({})
    const app = express()
    // Guards of all methods are passed by, and are no routes.
    app.all(/^\/(api|sub)/, (req, res, next) => next())
    app.use('/api', limit)
    const inner = express.Router()
    inner.get('/users/:id', ok)
    inner.post('/users/:id', ok)
    app.use('/api/:tenant', inner)
    app.get('/alone/:id', limit, ok)
    const within = express.Router()
    within.use(limit)
    within.get('/deep/:id', ok)
    app.use('/in', within)
    const sub = express()
    sub.use(limit)
    sub.get('/thing/:id', ok)
    app.use('/sub', sub)
    const get = await served(t, app)
    const route = async (path, init) => {
      seen.length = 0
      assert.ok((await get(path, init)).status < 500)
      return seen.join()
    }
    const tenant = version === 'express' ? ':tenant' : 'acme'
    assert.equal(await route('/api/acme/users/7'), `GET /api/${tenant}/users/:id`)
    assert.equal(await route('/api/acme/users/7/', { method: 'POST' }), `POST /api/${tenant}/users/:id`)
    assert.equal(await route('/alone/7'), 'GET /alone/:id')
    assert.equal(await route('/ALONE/7', { method: 'HEAD' }), 'GET /alone/:id')
    assert.equal(await route('/in/deep/7?x=/alone/1'), 'GET /in/deep/:id')
    assert.equal(await route('/sub/thing/7'), 'GET /sub/thing/:id')
    assert.equal(await route('/api/nowhere'), 'GET /api/nowhere')
    assert.equal(await route('/api/acme/users/%zz'), 'GET /api/acme/users/%zz')
  })
}

test('express: Express\' own trust proxy is heeded, and no more', async (t) => {
  const express = require('express')
  const limiter = () => new Limiter({ limit: [{ name: 'r', rate: '100/minute', by: ['ip'] }] })
  const who = async (trust) => {
    const app = express().set('trust proxy', trust)
    const own = limiter()
    app.use(rateLimit({ limiter: own }))
    app.get('/', (req, res) => res.json({}))
    const get = await served(t, app)
    await get('/', { headers: { 'x-forwarded-for': '2001:db8::1' } })
    return own.snapshot({ ip: '2001:db8::ffff' }).buckets[0].used
  }
  assert.equal(await who(false), 0)
  // Addresses of one network of 64 bits are one client.
  assert.equal(await who('loopback'), 1)
})

test('express: handler, requestPropertyName, resetKey', async (t) => {
  const express = require('express')
  const clock = new ManualClock(START)
  const limiter = new Limiter('1/minute', { clock })
  const limit = rateLimit({
    limiter,
    keyGenerator: async (req) => req.get('x-key'),
    requestPropertyName: 'tide',
    handler: (req, res, next, { decision, statusCode }) => res.status(statusCode).json([decision.name, req.tide.allowed]),
  })
  const app = express()
  app.get('/', limit, (req, res) => res.json(req.tide.remaining))
  const get = await served(t, app)
  const asked = () => get('/', { headers: { 'x-key': 'a' } })
  assert.equal(await (await asked()).json(), 0)
  const denied = await asked()
  assert.deepEqual([denied.status, denied.headers.get('retry-after'), await denied.json()], [429, '60', ['1/minute', false]])
  limit.resetKey('a')
  assert.equal((await asked()).status, 200)
  assert.equal(limit.limiter, limiter)
})

// As its documentation writes them: `message` is what was to be sent, and the key of `resetKey` is the address by default.
test('express: a handler of express-rate-limit\'s, and resetKey by address', async (t) => {
  const express = require('express')
  const handler = (req, res, next, options) => res.status(options.statusCode).send(options.message)
  for (const [options, type, text] of [
    [{}, 'application/json', /^\{"error":\{"code":"RATE_LIMIT_EXCEEDED",/],
    [{ body: 'message' }, 'application/json', /^\{"message":"Too many requests","code":429\}$/],
    [{ message: 'Slow down.' }, 'text/html', /^Slow down\.$/],
    [{ message: { error: 'slow' } }, 'application/json', /^\{"error":"slow"\}$/],
    [{ message: async () => ['slow'] }, 'application/json', /^\["slow"\]$/],
  ]) {
    const limit = rateLimit({ limit: 1, windowMs: 60_000, handler, ...options })
    const get = await served(t, express().use(limit).get('/', (req, res) => res.end()))
    assert.equal((await get('/')).status, 200)
    const denied = await get('/')
    assert.deepEqual([denied.status, denied.headers.get('content-type').split(';')[0]], [429, type])
    assert.match(await denied.text(), text)
    limit.resetKey('127.0.0.1')
    assert.equal((await get('/')).status, 200)
    assert.throws(() => limit.resetKey('localhost'), /^\w*Error: ip: "localhost" is not an address/)
  }
})

test('without a framework: plain http', async (t) => {
  const limit = rateLimit({ limit: 1, windowMs: 60_000 })
  const get = await served(t, (req, res) => limit(req, res, (error) => res.end(error ? 'failed' : 'ok')))
  assert.equal(await (await get('/a?b')).text(), 'ok')
  assert.equal((await get('/a?b')).status, 429)
})

test('without a framework: a denial that comes too late is told to next', async (t) => {
  const told = []
  const limit = rateLimit({ limit: 1, windowMs: 60_000 })
  const get = await served(t, (req, res) => (res.end('before'), limit(req, res, (error) => told.push(error?.code))))
  for (let i = 0; i < 2; i++) assert.equal(await (await get('/')).text(), 'before')
  assert.deepEqual(told, [undefined, 'ERR_HTTP_HEADERS_SENT'])
})

test('without a framework: what a client asks for need be no URL', async (t) => {
  const limiter = byRoute()
  const limit = rateLimit({ limiter })
  const server = http.createServer((req, res) => limit(req, res, (error) => res.end(error ? 'failed' : 'ok'))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  const paths = { '//': '//', '/a/../b?c': '/b', 'http://host/a?b': '/a', 'http://host?b': '/' }
  for (const [path, known] of Object.entries(paths)) {
    const asked = http.get({ port: server.address().port, path })
    const [response] = await once(asked, 'response')
    assert.equal((await response.toArray()).join(''), 'ok', path)
    assert.equal(limiter.snapshot({ route: `GET ${known}` }).buckets[0].used, 1, path)
  }
})

test('the shorthands: rate, limit and windowMs; by address, or by keyGenerator', async (t) => {
  const express = require('express')
  const app = express()
  const ok = (req, res) => res.json(req.rateLimit)
  app.get('/rate', rateLimit({ rate: '2/minute; 100/hour' }), ok)
  app.get('/window', rateLimit({ limit: 3 }), ok)
  app.get('/key', rateLimit({ limit: 1, keyGenerator: (req) => req.query.k }), ok)
  const get = await served(t, app)
  assert.equal((await (await get('/rate')).json()).limit, 2)
  assert.equal((await (await get('/window')).json()).name, 'requests')
  for (const [k, status] of [['a', 200], ['a', 429], ['b', 200]]) assert.equal((await get(`/key?k=${k}`)).status, status)
  // A key that is no key is refused, and no way around.
  assert.equal((await get('/key')).status, 500)
})

test('options: what is wrong is said when the middleware is made', () => {
  const limiter = new Limiter({ limit: [{ rate: '1/minute', by: ['ip'] }] })
  const refused = (options, kind, words) => assert.throws(() => rateLimit(options), { name: kind, message: words })
  refused(undefined, 'TypeError', /give one of `limiter`, `rate`/)
  refused({}, 'TypeError', /give one of `limiter`, `rate`/)
  refused({ limiter, rate: '1/minute' }, 'TypeError', /give one of/)
  refused({ limiter, windowMS: 1 }, 'TypeError', /^windowMS: no such option; did you mean windowMs\?/)
  refused({ limiter: {} }, 'TypeError', /^limiter: must be a Limiter/)
  refused({ limit: () => 1 }, 'TypeError', /^limit: must be a number/)
  refused({ limit: 0 }, 'PolicyError', /quota/)
  refused({ rate: '1/fortnight' }, 'PolicyError', /fortnight/)
  refused({ limit: 1, windowMs: '1m' }, 'TypeError', /^windowMs: must be a number/)
  refused({ limiter: new Limiter('1/minute') }, 'TypeError', /^identify: .*by key.*keyGenerator/)
  refused({ limiter, identify() {}, keyGenerator() {} }, 'TypeError', /identify, keyGenerator/)
  refused({ limiter, standardHeaders: 'draft-6' }, 'RangeError', /^standardHeaders: .*'draft-8'/)
  refused({ limiter, body: 'html' }, 'RangeError', /^body: must be one of error, message, problem/)
  refused({ limiter, statusCode: 200 }, 'RangeError', /^statusCode/)
  refused({ limiter, cost: '1' }, 'TypeError', /^cost/)
  refused({ limiter, trustProxy: true }, 'TypeError', /^trustProxy: must be the number of proxies/)
  refused({ limiter, trustProxy: ['10.0.0.0/33'] }, 'RangeError', /^trustProxy: '10.0.0.0\/33'/)
  refused({ limiter, trustProxy: -1 }, 'RangeError', /^trustProxy/)
  refused({ limiter, trustProxy: 1, proxyHeader: 'x-real-ip' }, 'RangeError', /^proxyHeader/)
  refused({ limiter, proxyHeader: 'forwarded' }, 'TypeError', /^proxyHeader.*trustProxy/)
  refused({ limiter, route: 'GET /' }, 'TypeError', /^route: must be a function, or patterns/)
})

test('tidegate itself loads no framework', () => {
  const { execFileSync } = require('node:child_process')
  const program = `require('tidegate'); console.log(Object.keys(require.cache).filter((file) => /node_modules|adapters/.test(file)).length)`
  assert.equal(execFileSync(process.execPath, ['-e', program], { cwd: __dirname, encoding: 'utf8' }).trim(), '0')
})
