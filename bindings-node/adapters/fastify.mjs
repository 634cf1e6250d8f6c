import rateLimit from './fastify.js'

export { rateLimit, rateLimit as default }
