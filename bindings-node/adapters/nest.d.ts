import type { ManualClock } from '../index.js'

export interface TidegateThrottlerStorageOptions {
  /** Those of a `Limiter`. */
  clock?: ManualClock | 'counter' | 'system' | 'coarse'
  maxKeys?: number
}

/**
 * A `storage` for @nestjs/throttler: windows from the first request on, in bounded memory and without timers.
 *
 *     ThrottlerModule.forRoot({ throttlers: [{ ttl: 60_000, limit: 10 }], storage: new TidegateThrottlerStorage() })
 */
export class TidegateThrottlerStorage {
  constructor(options?: TidegateThrottlerStorageOptions)
  /** Times come in milliseconds and go in whole seconds. */
  increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<{ totalHits: number; timeToExpire: number; isBlocked: boolean; timeToBlockExpire: number }>
}
