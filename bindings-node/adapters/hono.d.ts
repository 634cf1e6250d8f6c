import type { Context, Next } from 'hono'
import type { Decision, GateOptions, GateState, Refusal } from './gate.js'

export interface RateLimitOptions extends GateOptions<[c: Context]> {
  /** Gives the response to a denial; the headers of the limit are added. */
  handler?: (c: Context, next: Next, options: Refusal & { decision: Decision }) => Response | Promise<Response>
}

export interface RateLimitMiddleware extends GateState {
  (c: Context, next: Next): Promise<Response | void>
}

/**
 * A middleware; the decision is `c.get('rateLimit')`. Under @hono/node-server a response is over when Node has sent it;
 * elsewhere when its body has ended or was cancelled (one that is complete already: when the handler has returned), and the
 * client's address is for `identify` to say.
 *
 *     app.use(rateLimit({ rate: '100/minute' }))
 *
 * @throws {TypeError} unknown options (the message names the nearest one), and options that do not go together
 * @throws {RangeError} values that cannot be; @throws {PolicyError} a rate that says something wrong
 */
export function rateLimit(options: RateLimitOptions): RateLimitMiddleware

declare module 'hono' {
  interface ContextVariableMap {
    rateLimit: Decision
  }
}
