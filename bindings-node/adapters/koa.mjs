import adapter from './koa.js'

export const { rateLimit } = adapter
