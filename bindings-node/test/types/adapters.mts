import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { ThrottlerModule } from '@nestjs/throttler'
import { rateLimit as peer } from 'express-rate-limit'
import { Limiter, type Decision } from 'tidegate'
import expressDefault, { rateLimit as forExpress, TidegateStore } from 'tidegate/express'
import fastifyPlugin, { rateLimit as named } from 'tidegate/fastify'
import { rateLimit as forHono } from 'tidegate/hono'
import { TidegateThrottlerStorage } from 'tidegate/nest'
import { TidegateStore as Store } from 'tidegate/express-rate-limit-store'

const limiter = new Limiter('100/minute')

const app = express()
const middleware = forExpress({
  limiter,
  identify: (req) => ({ key: req.get('x-api-key'), account: null }),
  cost: async (req) => Number(req.query.n ?? 1),
  actualCost: (req, res) => (res.statusCode === 200 ? 2n : undefined),
  route: ['GET /v3/configs/:key'],
  message: (req: express.Request) => ({ path: req.path }),
  handler(req, res, next, { decision, statusCode, text }) {
    const denied: Decision = decision
    res.status(statusCode).send(text + denied.name)
  },
  trustProxy: ['loopback'],
})
app.use(middleware)
app.use(expressDefault({ rate: '1/minute', handler: (req, res, next, { statusCode, message }) => res.status(statusCode).send(message) }))
app.get('/', (req, res) => res.json(req.rateLimit?.remaining))
middleware.resetKey('a')
const failed: number = middleware.failures
// @ts-expect-error: no such option
forExpress({ limiter, windowMS: 1000 })
// @ts-expect-error: no such body
forExpress({ limiter, body: 'html' })
app.use(peer({ windowMs: 1000, limit: 1, store: new TidegateStore({ prefix: 'a' }) }))
const store: TidegateStore = new Store()

const fastify = Fastify()
await fastify.register(fastifyPlugin, { max: 100, timeWindow: '1 minute', allowList: ['127.0.0.1'] })
await fastify.register(named, { rate: '100/minute', hook: 'preHandler' })
fastify.get('/', { config: { rateLimit: { max: 10 } } }, async (request) => request.rateLimit?.remaining)
fastify.get('/free', { config: { rateLimit: false } }, async () => fastify.rateLimitFailures())
// @ts-expect-error: no such hook
await fastify.register(named, { rate: '100/minute', hook: 'onSend' })

const hono = new Hono()
hono.use(forHono({ limiter, keyGenerator: (c) => c.req.header('x-api-key') ?? 'nobody' }))
hono.get('/', (c) => c.json(c.get('rateLimit').remaining))

ThrottlerModule.forRoot({ throttlers: [{ ttl: 1000, limit: 1 }], storage: new TidegateThrottlerStorage() })

export { failed, store }
