import Koa from 'koa'
import { Limiter } from 'tidegate'
import { rateLimit } from 'tidegate/koa'

const koa = new Koa()
const middleware = rateLimit({
  limiter: new Limiter('1/minute'),
  identify: (ctx) => ctx.get('x-api-key'),
  skip: (ctx) => ctx.path === '/health',
  handler: (ctx, _next, { decision }) => void (ctx.body = decision.name),
})
koa.use(middleware)
koa.use((ctx) => void (ctx.body = ctx.state.rateLimit))
// @ts-expect-error: no such option
rateLimit({ rate: '1/minute', windowMS: 1 })

export const failures: number = middleware.failures
