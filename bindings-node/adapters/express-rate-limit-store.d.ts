import type { ManualClock } from '../index.js'

export interface TidegateStoreOptions {
  /** Put before each key; default none. */
  prefix?: string
  /** Those of a `Limiter`. */
  clock?: ManualClock | 'counter' | 'system' | 'coarse'
  maxKeys?: number
}

/**
 * A `store` for express-rate-limit, which decides; it counts, in bounded memory and without timers.
 *
 *     rateLimit({ windowMs: 60_000, limit: 100, store: new TidegateStore() })
 */
export class TidegateStore {
  constructor(options?: TidegateStoreOptions)
  readonly localKeys: boolean
  readonly prefix: string
  init(options: { windowMs: number }): void
  increment(key: string): { totalHits: number; resetTime: Date }
  get(key: string): { totalHits: number; resetTime: Date } | undefined
  decrement(key: string): void
  resetKey(key: string): void
}
