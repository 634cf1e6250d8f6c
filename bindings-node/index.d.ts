// Tidegate, an embeddable rate-limit engine.
//
// Durations are milliseconds, with a fraction where it matters (`…Ms`); the twins `…At` take an
// explicit time and speak nanoseconds and bigints throughout (`…Ns`): nothing is rounded there.
//
// Errors, of every call:
// - `TypeError`, code `ERR_INVALID_ARG_TYPE`: an argument of a wrong type.
// - `RangeError`, code `ERR_OUT_OF_RANGE`: a number that cannot be: negative, fractional, NaN,
//   or beyond 2^53 − 1 for a cost; negative, NaN or infinite for a duration; an option's value. Also a request that the
//   policy cannot decide about (it lacks an attribute, its plan is unknown, its `ip` is no address), and a plan or a style
//   that does not exist: `field` names the attribute or the argument.
// - `PolicyError`: a policy that says something wrong.
// Each message names the argument and what would be right. A denial is an answer, not an error.

/**
 * Who is limited: a string (its UTF-8; a lone surrogate counts as U+FFFD) or bytes, so also a
 * `Buffer`. Equal bytes are equal keys. Refused: bytes in shared memory, and an array whose
 * buffer was transferred or has shrunk below it.
 */
export type Key = string | Uint8Array

/**
 * A request with attributes: `key`, `account`, `ip`, `user`, `route`, `plan`, or any other that the policy names in `by`
 * and `when`. A plain object (of no class) with one attribute at least; only its own enumerable fields count. What
 * the request does not have is left out: `undefined` is refused. Attributes that the policy does not mention mean
 * nothing.
 *
 *     limiter.acquire({ key: 'k1', account: 'acme', route: 'GET /v3/configs' })
 */
export interface Request {
  [attribute: string]: string | Uint8Array
}

/** Who asks: a key, or a request. A key alone is a request whose attribute `key` it is. */
export type Subject = Key | Request

/** Headers that tell of a limit: `X-RateLimit-…`, those of the IETF's draft (`RateLimit-Policy`, `RateLimit`), or both. */
export type HeaderStyle = 'legacy' | 'draft' | 'both'

/**
 * The JSON of a denial: `{"error":{"code":"RATE_LIMIT_EXCEEDED",…}}`, `{"message":…,"code":429}`, or problem details of
 * RFC 9457.
 */
export type BodyStyle = 'error' | 'message' | 'problem'

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
 *
 * Own fields, which are copied and shown as JSON: those from `allowed` to `reason`. The others are asked of the engine when
 * they are read.
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
  /** Milliseconds since the Unix epoch at which it was made, by the wall clock. */
  readonly madeAtMs: number
  /** The span in which the limit grants its quota (of a cascade the first bucket's); null where there is none. */
  readonly windowMs: number | null
  /** What the limit counts. */
  readonly method: Method
  /** The request's plan, whichever of its limits answers; null where no limit answers, or the policy has no plans. */
  readonly plan: string | null
  /**
   * Units left in the later buckets of a cascade, such as a pool for bursts: of the limit that decides, else of the first
   * cascade that the request met; null when it met none.
   */
  readonly burstRemaining: number | null
  /** The name of a limit in shadow that would have denied; null when there is none. */
  readonly shadow: string | null
  /** The words that the policy has for a denial by this limit; null when it has none, or the request is admitted. */
  readonly message: string | null
  /** Does the policy advise to close the connection after this denial? */
  readonly closes: boolean
  /** The status of the response: 429 for a denial, else 200. */
  readonly status: number
  /**
   * The header fields of the response, admitted or denied, named as they are usually written; default style: `'legacy'`.
   * For `response.setHeaders(new Headers(decision.headers()))`, `res.set(decision.headers())` and the like.
   */
  headers(style?: HeaderStyle): Record<string, string>
  /** The body of the response to a denied request, one line of JSON; empty when admitted. Default style: `'error'`. */
  body(style?: BodyStyle): string
  /** The `Content-Type` of that body. */
  contentType(style?: BodyStyle): string
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
  /** Nanoseconds since the Unix epoch at which it was made. */
  readonly madeAtNs: bigint
  /** The span in which the limit grants its quota (of a cascade the first bucket's); null where there is none. */
  readonly windowNs: bigint | null
  /** What the limit counts. */
  readonly method: Method
  /** The request's plan, whichever of its limits answers; null where no limit answers, or the policy has no plans. */
  readonly plan: string | null
  /**
   * Units left in the later buckets of a cascade, such as a pool for bursts: of the limit that decides, else of the first
   * cascade that the request met; null when it met none.
   */
  readonly burstRemaining: bigint | null
  /** The name of a limit in shadow that would have denied; null when there is none. */
  readonly shadow: string | null
  /** The words that the policy has for a denial by this limit; null when it has none, or the request is admitted. */
  readonly message: string | null
  /** Does the policy advise to close the connection after this denial? */
  readonly closes: boolean
  /** The status of the response: 429 for a denial, else 200. */
  readonly status: number
  /**
   * The header fields of the response, admitted or denied, named as they are usually written; default style: `'legacy'`.
   * For `response.setHeaders(new Headers(decision.headers()))`, `res.set(decision.headers())` and the like.
   */
  headers(style?: HeaderStyle): Record<string, string>
  /** The body of the response to a denied request, one line of JSON; empty when admitted. Default style: `'error'`. */
  body(style?: BodyStyle): string
  /** The `Content-Type` of that body. */
  contentType(style?: BodyStyle): string
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

/** What a subject used. Numbers beyond 2^53 − 1 throw when they are read, as in `Decision`. */
export interface UsageReport {
  /** The plan that holds now; null where the policy has none. */
  readonly plan: string | null
  /** The time that the report covers, up to now. */
  readonly windowMs: number
  /** Units admitted in it. */
  readonly total: number
  /** The same by kind of call (the attribute `by` of `usage`), the largest first; calls without it are the kind `''`. */
  readonly byKind: Array<{ readonly kind: string; readonly units: number }>
  /** The count limit of the longest window that the subject has; null when there is none. */
  readonly limit: {
    readonly name: string
    readonly quota: number
    /** Units left now. */
    readonly remaining: number
    /** The part of the quota that is used now, in thousandths, rounded down; at most 1000. */
    readonly utilizationPermille: number
  } | null
  /** Requests of any subject that were not recorded, for want of room for more subjects (`maxKeys`). */
  readonly dropped: number
}

/** A `UsageReport` to the unit and the nanosecond. */
export interface ExactUsageReport {
  readonly plan: string | null
  readonly windowNs: bigint
  readonly total: bigint
  readonly byKind: Array<{ readonly kind: string; readonly units: bigint }>
  readonly limit: {
    readonly name: string
    readonly quota: bigint
    readonly remaining: bigint
    readonly utilizationPermille: number
  } | null
  readonly dropped: bigint
}

/** Use of a limit has passed one of its thresholds (`alerts` in the policy). */
export interface Alert {
  /** Name of the limit. */
  readonly limit: string
  /** The request's plan, also of a limit of every plan; null where the policy has none. */
  readonly plan: string | null
  readonly method: Method
  /** The threshold, in thousandths of the capacity. */
  readonly thresholdPermille: number
  /** Units used, in the limit's units; beyond 2^53 − 1 it throws when it is read. */
  readonly used: number
  /** Most units that can be spent at once. */
  readonly capacity: number
  /** Whose request passed it; values that are no UTF-8 are bytes. They may be secrets: think before you log them. */
  readonly request: Readonly<Record<string, string | Uint8Array>>
}

/** What became of a policy file that changed. */
export type WatchEvent =
  /** The limiter goes by the file as it is now. */
  | { readonly type: 'updated' }
  /** It cannot be read (`error.code`: `'ENOENT'`, …) or is wrong (a `PolicyError`): the policy stays that it was. */
  | { readonly type: 'refused'; readonly error: Error }

/** A limiter follows a policy file. */
export interface Watch {
  /** Ends that; the listener is not called any more. Once is enough, twice does nothing. */
  close(): void
}

/** What `measure` holds while the work runs. */
export interface Held {
  /**
   * Begins the time of the request's own permits anew (`max_hold`); false when one is no longer out, for it was held too
   * long.
   */
  renew(): boolean
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
  /** A quota that grows with steady use. */
  grow?: { ceiling: number | string; step: number | string; after: string; shrink_after: string }
}

/** Conditions on attributes: all must match, each by any one of its patterns. */
export interface Conditions {
  [attribute: string]: string | string[]
}

/** One limit: a rate, a cascade of rates, or a number of permits. */
export interface LimitPolicy extends RatePolicy {
  method?: Method
  /** Rates in order: the first with room pays. */
  cascade?: Array<string | RatePolicy>
  /** Permits: one that is held for longer counts as given back. */
  max_hold?: string
  /** Attributes that make the key; default: `["key"]`. */
  by?: string[]
  /** The limit is asked only when these match. */
  when?: Conditions
  /** A request without an attribute of `by`; default: `"error"`. */
  missing?: 'error' | 'skip' | 'deny'
  /** It counts and tells, and denies nobody. */
  shadow?: boolean
  /** Shares of the capacity: use that passes one is told (`onAlert`). */
  alerts?: number[]
  /** What its denials say. */
  message?: string
  /** Its denials advise to close the connection. */
  close?: boolean
}

/** The limits of a plan; an unlimited one takes an inherited limit of its name away. */
export interface PlanPolicy {
  limit?: Array<LimitPolicy | { name: string; unlimited: true }>
  inherits?: string
  /** Multiplies what is inherited. */
  scale?: number
}

/** A policy as an object: the same fields as in a policy file. */
export interface PolicyObject {
  timezone?: string
  /** Multiplies every quota. */
  scale?: number
  limit?: LimitPolicy[]
  /** By name. */
  plan?: { [name: string]: PlanPolicy }
  default_plan?: string
  /** The attribute to whose values plans are assigned; default: `"key"`. */
  plan_by?: string
  ipv6_prefix?: number
  /** Who passes uncounted. */
  exempt?: Array<{ name: string; when: Conditions }>
  /** Whoever has the secret passes uncounted; `hashSecret` makes the lines of `secrets`. */
  bypass?: Array<{ name: string; attribute: string; secrets: string[]; enabled?: boolean }>
  /** Who is denied. */
  block?: Array<{ name: string; when: Conditions }>
  /** Use is recorded, for `usage`. */
  usage?: { window?: string; resolution?: string; by?: string }
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

  /**
   * Decides now, yes or no: the fastest call. Default cost: 1. False also when the store fails, and for a request that
   * the policy cannot decide about (`acquire` says why).
   */
  tryAcquire(key: Subject, cost?: Units): boolean

  /**
   * Decides now. A denied request takes nothing, from any limit. Default cost: 1.
   *
   * @throws {RangeError} a request that the policy cannot decide about (`field`: the attribute)
   */
  acquire(key: Subject, cost?: Units): Decision

  /**
   * As `acquire` of each key in order, at one moment and in one call into the engine. One decision
   * for each key, in their order; not all or nothing, and a key that occurs twice is decided twice.
   * Default cost, of each key: 1.
   *
   *     const decisions = limiter.acquireMany(['user:42', 'user:7'])
   *     const admitted = decisions.filter((decision) => decision.allowed).length
   *
   * Keys and requests may be mixed.
   *
   * @throws {TypeError} `keys` is one key, or no iterable, or an element is neither key nor request (`keys[3]: …`):
   * nothing was charged, for none of the keys
   * @throws {RangeError} a request that the policy cannot decide about; those before it were decided
   */
  acquireMany(keys: Iterable<Subject> & object, cost?: Units): Decision[]

  /** Charges time that was spent, in milliseconds, to the latency limits; may overdraw. */
  recordLatency(key: Subject, latencyMs: number): void

  /** What `acquire` would say; changes nothing. Default cost: 1. */
  peek(key: Subject, cost?: Units): Decision

  /** Gives units back to the count limits, never above their capacity. Default cost: 1. */
  refund(key: Subject, cost?: Units): void

  /** Gives one permit back to every concurrency limit, never below none in flight. */
  release(key: Subject): void

  /**
   * Begins the time of the oldest permit of every concurrency limit anew (`max_hold`); false when none is out any more.
   * `measure` knows which permit is its own.
   */
  renew(key: Subject): boolean

  /** Fills every count and latency bucket of the key and lifts a block; permits stay out. */
  reset(key: Subject): void

  /**
   * Denies the key, or all requests with the one attribute that is given (`{ ip: '203.0.113.9' }`), for so many milliseconds; 0
   * lifts a block. Of an IPv6 address its network is blocked, by the policy's `ipv6_prefix`.
   */
  block(key: Subject, durationMs: number): void

  /** Charges units to every count limit as a late charge, which may overdraw. */
  penalize(key: Subject, units: Units): void

  /** Takes an estimate now, to be settled or cancelled later. Denied: nothing was taken. */
  reserve(key: Subject, cost: Units): Reservation

  /**
   * Changes the limits. What was used stays used, and nothing is granted retroactively.
   *
   * @throws {PolicyError} a mistake in the policy; nothing changes
   */
  update(policy: Policy): void

  /** Every bucket of a key. */
  snapshot(key: Subject): Snapshot

  stats(): Stats

  /**
   * Gives a plan to whoever has this value of the policy's `plan_by` attribute, whatever its requests say: for good, or for
   * `durationMs` from now. When a time ends, what was assigned for good holds again, or nothing. Use so far is kept.
   *
   * @throws {RangeError} the policy has no such plan (`field`: `'plan'`)
   */
  assign(value: string | Uint8Array, plan: string, options?: { durationMs?: number }): void

  /** Takes back what was assigned to this value, for good or for a time. */
  unassign(value: string | Uint8Array): void

  /** The request's plan now; null where the policy has none, or the request meets none. */
  planOf(request: Subject): string | null

  /**
   * What a subject used in the last `windowMs` (default, and at most: `usage.window` of the policy), by kind of call. Whose
   * use it is, the `plan_by` attribute says; the others say which limits the report looks at.
   *
   * @throws {RangeError} the policy has no `usage`, or the request not that attribute
   */
  usage(request: Subject, options?: { windowMs?: number }): UsageReport

  /**
   * Calls `listener` whenever use of a limit passes one of its `alerts`: at the end of the call that passed it, before
   * it returns, so that it may make any call itself. There is one listener; another takes its place, null ends it.
   *
   * The call that passed the threshold is not undone by an error: what `listener` throws becomes an uncaught
   * exception, as with a listener of an `EventTarget`, and a promise that it returns an unhandled rejection.
   */
  onAlert(listener: ((alert: Alert) => void) | null): void

  /**
   * Loads a policy file, as `update` does, and follows it from then on: when it changes, its policy is put in force. The
   * listener is told so, or why it was refused (then the policy stays that it was), on the event loop; its errors are
   * uncaught exceptions. A change is acted upon when nobody has written for 100 ms.
   *
   * The file is followed until `close()` or the end of the thread, which a watch does not put off.
   *
   * @throws {PolicyError} of the first load, with the path; @throws {Error} the file cannot be read (`code: 'ENOENT'`)
   */
  watch(path: string | URL, listener: (event: WatchEvent) => void): Watch

  /**
   * Waits until admitted, first come first served among the waiters of a key. Resolves with the
   * last decision: not `allowed` when the timeout passed or cannot be kept, or at once when the
   * cost can never fit. The event loop goes on meanwhile.
   */
  wait(key: Subject, options?: WaitOptions): Promise<Decision>

  /**
   * Acquires, runs `work`, records how long it took and gives permits back, also when `work`
   * throws. Time is that of the limiter's clock. Default cost: 1.
   *
   * Rejects with `RateLimitedError` when denied (`work` did not run), else as `work` does.
   */
  measure<T>(
    key: Subject,
    work: (decision: Decision, held: Held) => T | PromiseLike<T>,
    options?: { cost?: Units },
  ): Promise<T>

  /**
   * As `measure`, for work whose end is an event, such as a response or a connection: `finish` records how long it took
   * and gives permits back. Denied: nothing was taken. Default cost: 1.
   *
   *     const admission = limiter.admit('user:42')
   *     if (admission.decision.allowed) socket.on('close', () => admission.finish())
   *
   * One that is forgotten finishes when it is collected.
   */
  admit(key: Subject, cost?: Units): Admission

  // The twins with an explicit time, in nanoseconds since the Unix epoch, up to the year 2116.

  tryAcquireAt(key: Subject, cost: Units, nowNs: bigint): boolean
  acquireAt(key: Subject, cost: Units, nowNs: bigint): ExactDecision
  acquireManyAt(keys: Iterable<Subject> & object, cost: Units, nowNs: bigint): ExactDecision[]
  recordLatencyAt(key: Subject, latencyNs: bigint, nowNs: bigint): void
  peekAt(key: Subject, cost: Units, nowNs: bigint): ExactDecision
  refundAt(key: Subject, cost: Units, nowNs: bigint): void
  releaseAt(key: Subject, nowNs: bigint): void
  renewAt(key: Subject, nowNs: bigint): boolean
  resetAt(key: Subject, nowNs: bigint): void
  blockAt(key: Subject, durationNs: bigint, nowNs: bigint): void
  penalizeAt(key: Subject, units: Units, nowNs: bigint): void
  reserveAt(key: Subject, cost: Units, nowNs: bigint): Reservation<ExactDecision>
  updateAt(policy: Policy, nowNs: bigint): void
  snapshotAt(key: Subject, nowNs: bigint): ExactSnapshot
  /** `durationNs` null: for good. */
  assignAt(value: string | Uint8Array, plan: string, durationNs: bigint | null, nowNs: bigint): void
  planOfAt(request: Subject, nowNs: bigint): string | null
  /** `windowNs` null: that of the policy. */
  usageAt(request: Subject, windowNs: bigint | null, nowNs: bigint): ExactUsageReport
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

/** A request that `admit` let in. */
export class Admission implements Held {
  private constructor()

  readonly decision: Decision

  renew(): boolean

  /** Records the time since, and gives the request's own permits back; after the first call it does nothing. */
  finish(): void
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

/** Header fields: `Headers`, a plain object, a `Map`, pairs, or names and values by turns (`rawHeaders`). */
export type HeaderFields =
  | Headers
  | ReadonlyMap<string, string | readonly string[]>
  | Iterable<readonly [string, string]>
  | readonly (string | Uint8Array)[]
  | { readonly [name: string]: unknown }

/** A response of whatever library. */
export interface ResponseLike {
  readonly status?: number | undefined
  readonly statusCode?: number | undefined
  readonly headers: HeaderFields
}

/** What the headers of a response tell of the server's limits. A field that makes no sense is as one that is not there. */
export interface ServerLimits {
  /** How long the server asks to wait, in milliseconds; null: it does not say. */
  readonly retryAfterMs: number | null
  /** How long to wait after a refusal: `retryAfterMs`, else until what is used up is reset. */
  readonly delayMs: number | null
  /** Does the server say that little is left (`X-RateLimit-NearLimit`)? */
  readonly nearLimit: boolean
  /** Each quota that it tells of. */
  readonly quotas: ServerQuota[]
}

/** One quota of a server. null: it does not say, or the number is beyond 2^53 − 1. */
export interface ServerQuota {
  /** What tells it from others, in lower case; empty when it is alone. */
  readonly name: string
  readonly limit: number | null
  readonly remaining: number | null
  /** Milliseconds until it is reset; 0 when that time is past. */
  readonly resetAfterMs: number | null
  /** The length of its window in milliseconds. */
  readonly windowMs: number | null
}

/**
 * Reads the rate-limit headers of a response, or header fields alone, in every common form. `nowMs` (milliseconds since
 * the Unix epoch, default the current time) is what absolute times are compared with, where there is no `Date`.
 *
 *     readHeaders(response).retryAfterMs
 */
export function readHeaders(headers: HeaderFields | ResponseLike, options?: { nowMs?: number | undefined }): ServerLimits

/** What an answer means to a pacer. */
export type AnswerClass =
  /** It is handed on: a success, or an error that is the caller's own business. */
  | 'passed'
  /** The server limits us: the call is tried again, and everybody who shares the pacer waits. */
  | 'limited'
  /** The credential was refused (401): handed on; opens the breaker. */
  | 'unauthorized'
  /** The credential is good, but not for this (403): handed on; some in a row open the breaker. */
  | 'forbidden'
  /** It failed for the moment: the call is tried again, nobody else waits. Never chosen by default. */
  | 'retry'
  /** It failed: handed on, counts towards the breaker. Never chosen by default. */
  | 'failed'
  /** There is no answer (an exception): handed on. */
  | 'error'

/** What `classify` is asked about. */
export interface Answer {
  /** 0 when there is none. */
  readonly status: number
  /** The response, of whatever library, or the error that stands for it; undefined when there is none. */
  readonly response: any
  /** What the call gave; undefined when it threw. */
  readonly result: any
  /** What the call threw. */
  readonly error: any
}

/** Something that happened. Fields that are not known are absent. */
export type PacerEvent =
  /** A call will be tried again after `delayMs`. */
  | { kind: 'retry'; label: string; attempts: number; delayMs: number; status?: number }
  /** Everybody waits; told once for each pause. `name`: of the quota that is used up. */
  | { kind: 'pause'; delayMs: number; reason: 'limited' | 'exhausted' | 'other'; status?: number; name?: string }
  /** A call was refused every time and is given up. */
  | { kind: 'exhausted'; label: string; attempts: number; status?: number }
  /** Nothing is sent for `retryAfterMs`. */
  | {
      kind: 'breaker_opened'
      reason: 'authentication' | 'failures'
      message: string
      retryAfterMs: number
      status?: number
    }
  | { kind: 'breaker_closed' }
  | NearLimitEvent

/** The server says that little is left of a quota; told once until more is left again. */
export interface NearLimitEvent {
  kind: 'near_limit'
  /** Empty: it has none. */
  name: string
  limit?: number
  remaining?: number
  resetAfterMs?: number
}

/** Options of a pacer. Others are refused. Durations are milliseconds. */
export interface PacerOptions {
  /** Whom the limiter is asked about. With a `Limiter` only, and needed then. */
  key?: Subject | undefined
  /** Most calls under way at once, 1 to 1,000,000; default 10. A call that sleeps before a retry is not under way. */
  concurrency?: number | undefined
  /**
   * Units by which bursts of a policy are lowered, so that calls that bunch up on their way do not exceed the server's;
   * default: `concurrency`. Without effect on a `Limiter`.
   */
  headroom?: number | undefined
  /** Most retries of a call; default 5. */
  maxRetries?: number | undefined
  /** The longest jitter before the first retry; it doubles with each; default 1000. */
  baseMs?: number | undefined
  /** The longest jitter before any retry; default 30,000. */
  capMs?: number | undefined
  /** A longer delay that the server asks for rejects at once with `RetryAfterTooLongError`; default 60,000. */
  maxRetryAfterMs?: number | undefined
  /**
   * How long a call may take in all; default: no end. A call that cannot go or be tried again in time is given up at once;
   * an attempt under way is not interrupted.
   */
  deadlineMs?: number | undefined
  /** Makes the jitter the same each time: a whole number. */
  seed?: Units | undefined
  /** A clock for tests, or the name of one; default `'counter'`. Not with a `Limiter`, which has its own. */
  clock?: ManualClock | 'counter' | 'system' | 'coarse' | undefined
  /**
   * When so many thousandths of a quota are left, `onNearLimit` is told, and what is left of a quota known only from headers
   * is spread until its reset; 0 to 1000, 0: never; default 100.
   */
  nearLimit?: number | undefined
  /** So many 401 in a row open the breaker; 0: none do; default 1. */
  maxUnauthorized?: number | undefined
  /** So many 403 in a row open the breaker; 0: none do; default 3. */
  maxForbidden?: number | undefined
  /** So many calls in a row that were given up or called failed open the breaker; 0: none do; default 5. */
  maxFailures?: number | undefined
  /** How long an open breaker lets nothing through, before one call may try; default 30,000. */
  breakerCooldownMs?: number | undefined
  /** Says what an answer means; undefined: as by default. What it throws rejects the call. */
  classify?: ((answer: Answer) => AnswerClass | undefined) | undefined
  /** Is told when the server says that little is left. */
  onNearLimit?: ((event: NearLimitEvent) => void) | undefined
  /** Is told what happens. What a listener throws becomes an uncaught exception. */
  onEvent?: ((event: PacerEvent) => void) | undefined
}

/** Options of one call. Others are refused. */
export interface CallOptions {
  /** For errors and events. */
  label?: string | undefined
  /** Units that each attempt takes from the count limits; default 1. */
  cost?: Units | undefined
  /** Most retries; default the pacer's. */
  maxRetries?: number | undefined
  /** How long the call may take in all, in milliseconds; default the pacer's. */
  deadlineMs?: number | undefined
  /** Ends the waiting: the call rejects with the signal's reason. The work is given it, too, and ends itself. */
  signal?: AbortSignal | undefined
}

/** What the work of a call is told. */
export interface Attempt {
  /** From 1. */
  readonly attempt: number
  readonly signal: AbortSignal | undefined
}

export interface MapOptions extends CallOptions {
  /** Most items under way at once; default the pacer's `concurrency`. */
  concurrency?: number | undefined
  /** Is told of each item that is done; `total` is null when the iterable does not say how many there are. */
  onProgress?: ((progress: { done: number; total: number | null; index: number }) => void) | undefined
}

/** Counts of a pacer since it was made. */
export interface PacerStats {
  /** Calls that were begun. */
  readonly calls: number
  /** Attempts that were let go, the first of each call included. */
  readonly attempts: number
  readonly retries: number
  /** Answers that said that the server limits us. */
  readonly limited: number
  /** Milliseconds that calls stood waiting, for their turn and for retries, in all. */
  readonly waitMs: number
  /**
   * How many calls had to wait for each limit, by its name, for the concurrency cap (`concurrency`), for a pause (`pause`)
   * and for a quota known from headers (`quota`).
   */
  readonly waits: Record<string, number>
  /** Times everybody had to wait. */
  readonly pauses: number
  /** Calls given up because every attempt was refused. */
  readonly exhausted: number
  readonly breakerOpened: number
  /** Calls under way now. */
  readonly inFlight: number
  /** Calls that wait now. */
  readonly waiting: number
}

/**
 * Paces calls to somebody else's interface so that they are not refused: a limiter, a cap on concurrent calls, retries,
 * pauses and a breaker, shared by all calls of the pacer. For the main thread or a worker; each has its own.
 *
 *     const pacer = new Pacer('100/minute', { concurrency: 4 })
 *     const response = await pacer.run(() => fetch(url), { label: 'list items' })
 *     const paced = pacer.wrap(fetch)
 *
 * It understands any result with `status` or `statusCode` and `headers`, and any error that carries such a `response` or
 * is one. A 429, and a 503 with a delay, is tried again; every other result and rejection is handed on, unchanged.
 */
export class Pacer {
  /**
   * `limits`: the server's limits as a rate string or a policy, a `Limiter` that every attempt asks (with `key`), or nothing:
   * then they are learned from headers.
   */
  constructor(limits?: Policy | Limiter | null, options?: PacerOptions)

  /** Most calls under way at once. */
  readonly concurrency: number

  /**
   * Makes a call, with as many attempts as it takes: calls `work` when its turn has come, and again when its answer asks for
   * it. Rejects with what `work` threw, unchanged; with the reason of `signal`; or with a `PacerError`.
   */
  run<T>(work: (attempt: Attempt) => T | PromiseLike<T>, options?: CallOptions): Promise<Awaited<T>>

  /**
   * A function of the same arguments that goes through the pacer. For a function in the form of `fetch` it takes the call's
   * own signal, sends clones of a `Request`, and does not send a body twice that is a stream: such a call has one attempt.
   */
  wrap<This, Args extends unknown[], T>(
    work: (this: This, ...args: Args) => T,
    options?: CallOptions,
  ): (this: This, ...args: Args) => Promise<Awaited<T>>

  /**
   * Makes a call for each item; results in the order of the items. When one fails, those under way are waited for, and it
   * rejects with a `MapError` that keeps what is done and can go on.
   */
  map<Item, T>(
    items: Iterable<Item>,
    work: (item: Item, index: number, attempt: Attempt) => T | PromiseLike<T>,
    options?: MapOptions,
  ): Promise<Awaited<T>[]>

  /** Learns from a response, or its headers, that is not of a call of this pacer. */
  observe(response: HeaderFields | ResponseLike): void

  stats(): PacerStats

  /** Closes the breaker and ends a pause, when whoever operates it knows better. */
  reset(): void

  /** Whoever waits, and each new call, rejects with code `ERR_PACER_CLOSED`. Calls under way may finish. */
  close(): void
}

/**
 * A pacer gave a call up. Codes of its own: `ERR_PACER_CLOSED`, and `ERR_PACER_IMPOSSIBLE` for a cost that can never fit
 * (`limit` names the limit). `cause`: the last answer, response or error, where there was one.
 */
export class PacerError extends Error {
  constructor(message: string, details?: Record<string, unknown>)
  readonly code: string
  readonly cause?: any
}

/** The server refused every attempt. */
export class RetriesExhaustedError extends PacerError {
  readonly code: 'ERR_RETRIES_EXHAUSTED'
  /** Attempts that were made, the first one included. */
  readonly attempts: number
  readonly label: string
  /** Of the last answer; 0 when it had none. */
  readonly status: number
}

/** The server asks for a longer wait than `maxRetryAfterMs`. */
export class RetryAfterTooLongError extends PacerError {
  readonly code: 'ERR_RETRY_AFTER_TOO_LONG'
  /** How long it wants us to wait, from when the error was made. */
  readonly retryAfterMs: number
  /** The longest wait that the options allow. */
  readonly maxMs: number
  /** 0: others were told, and this call was not sent. */
  readonly attempts: number
  readonly label: string
}

/** The call's deadline has passed, or would pass before the next attempt. */
export class DeadlineExceededError extends PacerError {
  readonly code: 'ERR_DEADLINE_EXCEEDED'
  readonly attempts: number
  readonly label: string
}

/** The breaker is open: nothing is sent. */
export class BreakerOpenError extends PacerError {
  readonly code: 'ERR_BREAKER_OPEN'
  /** `authentication`: the credential was refused; check it. `failures`: calls failed in a row. */
  readonly reason: 'authentication' | 'failures'
  /** Of the answer that opened it, when the credential was refused. */
  readonly status?: number
  /** When one call is let through to see, from when the error was made. */
  readonly retryAfterMs: number
}

/** `map` ended before its end. `cause`: why. */
export class MapError<T = any> extends PacerError {
  readonly code: 'ERR_MAP_INTERRUPTED'
  /** By the index of their items; items that are not done have none. */
  readonly results: (T | undefined)[]
  /** How many are done. */
  readonly done: number
  /** How many there are; null: not known. */
  readonly total: number | null
  /** Of the item that failed; undefined: none did (an abort, the iterator). */
  readonly index: number | undefined
  /** Goes on with what is left, items that failed included. All results, in order. */
  resume(options?: { signal?: AbortSignal | undefined }): Promise<T[]>
}

/**
 * The line for `bypass.secrets` of a policy that lets requests with this secret pass: `sha256:` and 64 hexadecimal digits.
 * The hash hides a secret that cannot be guessed: take one of 128 random bits at least.
 */
export function hashSecret(secret: string): string

/** The version of the engine. */
export const version: string
