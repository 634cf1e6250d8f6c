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

/**
 * The line for `bypass.secrets` of a policy that lets requests with this secret pass: `sha256:` and 64 hexadecimal digits.
 * The hash hides a secret that cannot be guessed: take one of 128 random bits at least.
 */
export function hashSecret(secret: string): string

/** The version of the engine. */
export const version: string
