import adapter from './hono.js'

export const { rateLimit } = adapter
