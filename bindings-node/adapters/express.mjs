import adapter from './express.js'

export const { rateLimit, TidegateStore } = adapter
