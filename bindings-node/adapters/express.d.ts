import type { NextFunction, Request, Response } from 'express'
import type { Decision, GateOptions, GateState, Refusal } from './gate.js'

export { TidegateStore } from './express-rate-limit-store.js'

export interface RateLimitOptions extends GateOptions<[req: Request, res: Response]> {
  /**
   * Answers a denial; headers are set already. `message` is what was to be sent, of JSON its value:
   * `res.status(options.statusCode).send(options.message)`.
   */
  handler?: (
    req: Request,
    res: Response,
    next: NextFunction,
    options: Refusal & { statusCode: number; message: any; decision: Decision },
  ) => unknown
  /** The property of the request that holds the decision; default `'rateLimit'`. */
  requestPropertyName?: string
}

export interface RateLimitMiddleware extends GateState {
  (req: Request, res: Response, next: NextFunction): void
  /**
   * As `limiter.reset(key)`; where `rate` or `limit` counts by address, `key` is one.
   *
   * @throws {RangeError} it is none
   */
  resetKey(key: string): void
}

/**
 * A middleware for an app, a router or a route.
 *
 *     app.use(rateLimit({ rate: '100/minute' }))
 *
 * @throws {TypeError} unknown options (the message names the nearest one), and options that do not go together
 * @throws {RangeError} values that cannot be; @throws {PolicyError} a rate that says something wrong
 */
export function rateLimit(options: RateLimitOptions): RateLimitMiddleware
export default rateLimit

declare global {
  namespace Express {
    interface Request {
      /** The decision of the last limiter that was asked, unless `requestPropertyName` says otherwise. */
      rateLimit?: Decision
    }
  }
}
