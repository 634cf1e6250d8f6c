import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Decision, GateOptions } from './gate.js'

/** What an `errorResponseBuilder` is told. */
export interface ErrorContext {
  statusCode: number
  /** The quota of the limit that denied. */
  max: number
  /** Milliseconds to wait. */
  ttl: number
  /** The same as text. */
  after: string
  decision: Decision
}

export interface RouteRateLimitOptions extends GateOptions<[request: FastifyRequest, reply: FastifyReply]> {
  /** As `limit`. */
  max?: number
  /** As `windowMs`, or a text such as `'1 minute'`. */
  timeWindow?: number | string
  /** As `passOnStoreError`. */
  skipOnError?: boolean
  /** As `standardHeaders` without `legacyHeaders`. */
  enableDraftSpec?: boolean
  /** Keys that are not limited (without `keyGenerator`: addresses), or as `skip`. */
  allowList?: readonly string[] | ((request: FastifyRequest, reply: FastifyReply) => boolean | PromiseLike<boolean>)
  /** Gives the error that a denial is thrown as. */
  errorResponseBuilder?: (request: FastifyRequest, context: ErrorContext) => unknown
  /** Told of each denial. */
  onExceeded?: (request: FastifyRequest, decision: Decision) => void
}

export interface RateLimitPluginOptions extends RouteRateLimitOptions {
  /** Is every route limited? false: those alone whose `config.rateLimit` has options. Default true. */
  global?: boolean
  /** When it is asked; default `'onRequest'`. */
  hook?: 'onRequest' | 'preValidation' | 'preHandler'
}

/**
 * A plugin. The options of a route (`config.rateLimit`) take the place of the plugin's; false: it is not limited.
 *
 *     await fastify.register(rateLimit, { rate: '100/minute' })
 *
 * Before the plugins that it limits; routes of the same server that are there already are limited, too.
 *
 * @throws {Error} registered a second time at a server, or within a plugin around which it is registered
 * @throws {TypeError} unknown options (the message names the nearest one), and options that do not go together
 * @throws {RangeError} values that cannot be; @throws {PolicyError} a rate that says something wrong
 */
export const rateLimit: FastifyPluginAsync<RateLimitPluginOptions>
export default rateLimit

declare module 'fastify' {
  interface FastifyRequest {
    /** null where nobody was asked. */
    rateLimit: Decision | null
  }
  interface FastifyInstance {
    /** Calls into the engine that failed, and functions that failed after a response. */
    rateLimitFailures(): number
  }
  interface FastifyContextConfig {
    rateLimit?: RouteRateLimitOptions | false
  }
}
