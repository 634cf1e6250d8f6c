import rateLimit from './express.js'

export const { TidegateStore } = rateLimit
export { rateLimit, rateLimit as default }
