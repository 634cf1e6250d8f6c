import type { Context, Next } from 'koa'
import type { Decision, GateOptions, GateState, Refusal } from './gate.js'

export interface RateLimitOptions extends GateOptions<[ctx: Context]> {
  /** Answers a denial; headers are set already. */
  handler?: (ctx: Context, next: Next, options: Refusal & { decision: Decision }) => unknown
  /** A router of `@koa/router` that comes later: it is asked for the route. */
  router?: { match(path: string, method: string): unknown }
}

export interface RateLimitMiddleware extends GateState {
  (ctx: Context, next: Next): Promise<unknown>
}

/**
 * A middleware for an app or a router; the decision is `ctx.state.rateLimit`.
 *
 *     app.use(rateLimit({ rate: '100/minute' }))
 *
 * @throws {TypeError} unknown options (the message names the nearest one), and options that do not go together
 * @throws {RangeError} values that cannot be; @throws {PolicyError} a rate that says something wrong
 */
export function rateLimit(options: RateLimitOptions): RateLimitMiddleware
