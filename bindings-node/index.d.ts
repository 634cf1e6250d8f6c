// Tidegate, an embeddable rate-limit engine.
//
// Durations are milliseconds, with a fraction where it matters (`…Ms`); the twins `…At` take an
// explicit time and speak nanoseconds and bigints throughout (`…Ns`): nothing is rounded there.
//
// Errors, of every call:
// - `TypeError`, code `ERR_INVALID_ARG_TYPE`: an argument of a wrong type.
// - `RangeError`, code `ERR_OUT_OF_RANGE`: a number that cannot be: negative, fractional, NaN,
//   or beyond 2^53 − 1 for a cost; negative, NaN or infinite for a duration; an option's value.
// - `PolicyError`: a policy that says something wrong.
// Each message names the argument and what would be right. A denial is an answer, not an error.

/**
 * Who is limited: a string (its UTF-8; a lone surrogate counts as U+FFFD) or bytes, so also a
 * `Buffer`. Equal bytes are equal keys. Refused: bytes in shared memory, and an array whose
 * buffer was transferred or has shrunk below it.
 */
export type Key = string | Uint8Array

/**
 * Units: requests × cost (count limits), nanoseconds (latency limits), permits (concurrency
 * limits). A whole number from 0 to 2^53 − 1, or a bigint of up to 64 bits.
 */
export type Units = number | bigint

/** Why a request was admitted or denied. */
export type Reason =
  /** Admitted. */
  | 'ok'
  /** A limit has no room now; it will have after `retryAfterMs`. */
  | 'limited'
  /** The operator blocked the key until `retryAfterMs` has passed. */
  | 'blocked'
  /** Admitted without being counted. */
  | 'bypass'
  /** The cost is more than a limit can ever hold: no waiting helps. */
  | 'impossible'

/** What a limit counts. */
export type Method = 'count' | 'latency' | 'concurrency'

/**
 * The answer to one request. `limit`, `remaining` and `resetAfterMs` are those of the limit that
 * decides: of a denied request the one with the longest wait, of an admitted one the tightest.
 *
 * Numbers are never rounded: a `limit` or `remaining` beyond 2^53 − 1 (a latency budget of more
 * than 104 days) throws a `RangeError` when it is read; `acquireAt` and `peekAt` give it as a
 * bigint.
 */
export interface Decision {
  /** May the request go on? */
  readonly allowed: boolean
  /** The quota of the limit, in its units; of a cascade, the sum of its quotas. */
  readonly limit: number
  /** Units left in the limit after this decision. */
  readonly remaining: number
  /** Milliseconds until the same request passes: 0 when allowed, Infinity when it never will. */
  readonly retryAfterMs: number
  /** Milliseconds until the limit is full again when nobody uses it. */
  readonly resetAfterMs: number
  /** The name of the limit; empty for a blocked key. */
  readonly name: string
  readonly reason: Reason
}

/** A `Decision` to the unit and the nanosecond. */
export interface ExactDecision {
  readonly allowed: boolean
  readonly limit: bigint
  readonly remaining: bigint
  /** Nanoseconds until the same request passes: 0n when allowed, null when it never will. */
  readonly retryAfterNs: bigint | null
  /** Nanoseconds until the limit is full again when nobody uses it. */
  readonly resetAfterNs: bigint
  readonly name: string
  readonly reason: Reason
}

/** One bucket of a key. Numbers beyond 2^53 − 1 throw when they are read, as in `Decision`. */
export interface BucketSnapshot {
  /** Name of the limit. */
  readonly limit: string
  /** Name of the bucket: its own, else the text of its rate (`100/minute`). */
  readonly name: string
  readonly method: Method
  /** Units a period. */
  readonly quota: number
  /** Most units that can be spent at once (gcra: the burst). */
  readonly capacity: number
  /** Units used; more than the capacity when in debt. */
  readonly used: number
  /** Units left, never below 0. */
  readonly remaining: number
  /** Milliseconds until the bucket refreshes (windows: their end; gcra: full again); 0 when full. */
  readonly refreshAfterMs: number
}

/** Every bucket of a key, in the order of the policy. */
export interface Snapshot {
  readonly buckets: BucketSnapshot[]
  /** Milliseconds for which the key stays blocked; 0 when it is not. */
  readonly blockedForMs: number
}

/** A `BucketSnapshot` to the unit and the nanosecond. */
export interface ExactBucketSnapshot {
  readonly limit: string
  readonly name: string
  readonly method: Method
  readonly quota: bigint
  readonly capacity: bigint
  readonly used: bigint
  readonly remaining: bigint
  readonly refreshAfterNs: bigint
}

/** A `Snapshot` to the unit and the nanosecond. */
export interface ExactSnapshot {
  readonly buckets: ExactBucketSnapshot[]
  readonly blockedForNs: bigint
}

/** Counters of a limiter since its creation. */
export interface Stats {
  /** Keys remembered now. */
  readonly keys: number
  /** Most keys that can be remembered (`maxKeys`). */
  readonly capacity: number
  readonly allowed: number
  readonly limited: number
  readonly blocked: number
  readonly bypassed: number
  readonly impossible: number
  /** Keys in use whose place was taken by others (`onFull: 'inherit'`). */
  readonly evictions: number
  /** Requests of new keys that found the store full (`'deny'` and `'allow'`). */
  readonly saturated: number
}

/** One rate of a limit. */
export interface RatePolicy {
  /** Shown in snapshots; default: the text of the rate. */
  name?: string
  /** `"100/minute"`, `"30s/minute"` (a latency rate), `"10 per 5 minutes burst 20"`. */
  rate?: string
  quota?: number | string
  period?: string
  /** Units at once, gcra only; default: the quota. */
  burst?: number | string
  algorithm?: 'gcra' | 'sliding_window' | 'fixed_window'
  /** Sliding windows: never more than the quota in any window. */
  strict?: boolean
  /** Fixed windows. */
  align?: 'clock' | 'first_request'
  timezone?: string
  max_debt?: number | string
}

/** One limit: a rate, a cascade of rates, or a number of permits. */
export interface LimitPolicy extends RatePolicy {
  method?: Method
  /** Rates in order: the first with room pays. */
  cascade?: Array<string | RatePolicy>
}

/** A policy as an object: the same fields as in a policy file. */
export interface PolicyObject {
  timezone?: string
  /** Multiplies every quota. */
  scale?: number
  limit: LimitPolicy[]
}

/** A rate string (`"100/minute; 30s/minute"`), a TOML or JSON document, or an object. */
export type Policy = string | PolicyObject

export interface LimiterOptions {
  /**
   * Where time comes from. `'counter'` (default): the processor's counter, within 10 µs of the
   * system's clock; where there is no steady one, as `'system'`. `'system'`: the system's monotonic
   * clock, asked each time. `'coarse'`: the system's coarse clock (Linux; elsewhere as `'system'`), in
   * steps of 1 to 10 ms, and late by as much.
   */
  clock?: ManualClock | 'counter' | 'system' | 'coarse'
  /** Most keys that are remembered at once, at least 1; default 1,000,000. */
  maxKeys?: number
  /**
   * What happens to a new key when the store is full of keys in use: it takes the place of the key
   * closest to full and inherits the larger use (default), is denied, or is admitted unremembered.
   */
  onFull?: 'inherit' | 'deny' | 'allow'
  /** Where state is kept; `'memory:'` is the only store so far. */
  store?: 'memory:'
  /** A name for logs. */
  name?: string
}

export interface WaitOptions {
  /** Default 1. */
  cost?: Units
  /** Milliseconds to wait at most; left out: without limit. */
  timeoutMs?: number
  /** Aborted: the promise rejects with the signal's reason and nothing is taken. */
  signal?: AbortSignal
}

/**
 * A policy, the state of its keys, and a clock.
 *
 *     const limiter = new Limiter('100/minute')
 *     if (limiter.tryAcquire('user:42')) { … }
 *
 * A limiter belongs to the thread that made it; a worker makes its own.
 */
export class Limiter {
  /**
   * @throws {PolicyError} a mistake in the policy
   * @throws {TypeError} an unknown option (the message names the nearest one), a wrong type
   * @throws {RangeError} an option's value that cannot be
   */
  constructor(policy: Policy, options?: LimiterOptions)

  /**
   * Reads the policy from a file: `.toml`, `.json`, or a rate string.
   *
   * @throws {PolicyError} with the path; @throws {Error} the file cannot be read (`code: 'ENOENT'`)
   */
  static fromFile(path: string | URL, options?: LimiterOptions): Limiter

  /** The name for logs; empty when none was given. */
  readonly name: string

  /** Decides now, yes or no: the fastest call. Default cost: 1. False also when the store fails. */
  tryAcquire(key: Key, cost?: Units): boolean

  /** Decides now. A denied request takes nothing, from any limit. Default cost: 1. */
  acquire(key: Key, cost?: Units): Decision

  /**
   * As `acquire` of each key in order, at one moment and in one call into the engine. One decision
   * for each key, in their order; not all or nothing, and a key that occurs twice is decided twice.
   * Default cost, of each key: 1.
   *
   *     const decisions = limiter.acquireMany(['user:42', 'user:7'])
   *     const admitted = decisions.filter((decision) => decision.allowed).length
   *
   * @throws {TypeError} `keys` is one key, or no iterable, or an element is no key (`keys[3]: …`):
   * nothing was charged, for none of the keys
   */
  acquireMany(keys: Iterable<Key> & object, cost?: Units): Decision[]

  /** Charges time that was spent, in milliseconds, to the latency limits; may overdraw. */
  recordLatency(key: Key, latencyMs: number): void

  /** What `acquire` would say; changes nothing. Default cost: 1. */
  peek(key: Key, cost?: Units): Decision

  /** Gives units back to the count limits, never above their capacity. Default cost: 1. */
  refund(key: Key, cost?: Units): void

  /** Gives one permit back to every concurrency limit, never below none in flight. */
  release(key: Key): void

  /** Fills every count and latency bucket of the key and lifts a block; permits stay out. */
  reset(key: Key): void

  /** Denies the key for so many milliseconds; 0 lifts a block. */
  block(key: Key, durationMs: number): void

  /** Charges units to every count limit as a late charge, which may overdraw. */
  penalize(key: Key, units: Units): void

  /** Takes an estimate now, to be settled or cancelled later. Denied: nothing was taken. */
  reserve(key: Key, cost: Units): Reservation

  /**
   * Changes the limits. What was used stays used, and nothing is granted retroactively.
   *
   * @throws {PolicyError} a mistake in the policy; nothing changes
   */
  update(policy: Policy): void

  /** Every bucket of a key. */
  snapshot(key: Key): Snapshot

  stats(): Stats

  /**
   * Waits until admitted, first come first served among the waiters of a key. Resolves with the
   * last decision: not `allowed` when the timeout passed or cannot be kept, or at once when the
   * cost can never fit. The event loop goes on meanwhile.
   */
  wait(key: Key, options?: WaitOptions): Promise<Decision>

  /**
   * Acquires, runs `work`, records how long it took and gives permits back, also when `work`
   * throws. Time is that of the limiter's clock. Default cost: 1.
   *
   * Rejects with `RateLimitedError` when denied (`work` did not run), else as `work` does.
   */
  measure<T>(
    key: Key,
    work: (decision: Decision) => T | PromiseLike<T>,
    options?: { cost?: Units },
  ): Promise<T>

  // The twins with an explicit time, in nanoseconds since the Unix epoch, up to the year 2116.

  tryAcquireAt(key: Key, cost: Units, nowNs: bigint): boolean
  acquireAt(key: Key, cost: Units, nowNs: bigint): ExactDecision
  acquireManyAt(keys: Iterable<Key> & object, cost: Units, nowNs: bigint): ExactDecision[]
  recordLatencyAt(key: Key, latencyNs: bigint, nowNs: bigint): void
  peekAt(key: Key, cost: Units, nowNs: bigint): ExactDecision
  refundAt(key: Key, cost: Units, nowNs: bigint): void
  releaseAt(key: Key, nowNs: bigint): void
  resetAt(key: Key, nowNs: bigint): void
  blockAt(key: Key, durationNs: bigint, nowNs: bigint): void
  penalizeAt(key: Key, units: Units, nowNs: bigint): void
  reserveAt(key: Key, cost: Units, nowNs: bigint): Reservation<ExactDecision>
  updateAt(policy: Policy, nowNs: bigint): void
  snapshotAt(key: Key, nowNs: bigint): ExactSnapshot
}

/** An estimate that was taken by `reserve`. Forgotten: the estimate stands. */
export class Reservation<D = Decision> {
  private constructor()

  /** The answer to the estimate. */
  readonly decision: D

  /**
   * Charges the difference to `actual`: more is charged even beyond the limits, less is given
   * back. Permits stay out until `release`. Of a denied reservation: does nothing.
   *
   * @throws {Error} it is already settled or cancelled
   */
  settle(actual: Units): void

  /** Gives all of it back, permits too; after `settle` or `cancel` it does nothing. */
  cancel(): void

  settleAt(actual: Units, nowNs: bigint): void
  cancelAt(nowNs: bigint): void
}

/**
 * A clock that stands still until it is moved, for tests without sleeping. Moving it lets those
 * who `wait` on it go on.
 *
 *     const clock = new ManualClock(Date.UTC(2026, 0, 1))
 *     const limiter = new Limiter('1/second', { clock })
 *     clock.advance(1000)
 */
export class ManualClock {
  /** A clock that stands at `ms` since the Unix epoch, up to the year 2116. */
  constructor(ms: number)

  /** Where it stands: milliseconds since the Unix epoch, the nearest number. */
  now(): number

  /** Moves it on by `ms`. */
  advance(ms: number): void

  /** Puts it at `ms` since the Unix epoch, earlier or later. */
  set(ms: number): void

  nowNs(): bigint
  advanceNs(ns: bigint): void
  setNs(ns: bigint): void
}

/** A mistake in a policy. */
export class PolicyError extends Error {
  constructor(
    message: string,
    details?: { line?: number; column?: number; field?: string; remedy?: string },
  )
  readonly code: 'ERR_TIDEGATE_POLICY'
  /** From 1; undefined for a policy that was given as an object. */
  readonly line: number | undefined
  /** In characters, from 1; undefined as `line`. */
  readonly column: number | undefined
  /** Such as `limit[0].quota`. */
  readonly field: string | undefined
  /** What would be right. */
  readonly remedy: string | undefined
}

/** `measure` was denied. */
export class RateLimitedError extends Error {
  constructor(decision: Decision)
  readonly code: 'ERR_RATE_LIMITED'
  readonly decision: Decision
}

/** The version of the engine. */
export const version: string
