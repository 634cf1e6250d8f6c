// Options and answers that the adapters of all frameworks share.

import type { Decision, Limiter, Request as Attributes, Units } from '../index.js'

/** A value, or a promise of it. */
export type Awaitable<T> = T | PromiseLike<T>

/** Who asks: a key, or attributes; those that are undefined or null are left out. */
export type Identity =
  | string
  | Uint8Array
  | { readonly [attribute: string]: string | Uint8Array | undefined | null }
  | undefined
  | null

/** What a denial is answered with, unless a `handler` does. */
export interface Refusal {
  status: number
  headers: Record<string, string>
  contentType: string
  text: string
}

/**
 * One of `limiter`, `rate` and `limit` says what the limit is.
 *
 * `Args`: what the framework gives to a handler; the functions among the options are called with it and may give promises.
 */
export interface GateOptions<Args extends unknown[]> {
  /** Whose policy decides. A request is its attributes `ip`, `route` and what `identify` or `keyGenerator` says. */
  limiter?: Limiter
  /** Rates, such as `'100/minute'` or `'10/second burst 20; 500/hour'`, for each client address, or each key. */
  rate?: string
  /** Requests a window, for each client address, or each key. */
  limit?: number
  /** The window of `limit`, from the first request on: milliseconds; default 60,000. */
  windowMs?: number
  /** Whose request it is: a key, or attributes beside `ip` and `route`, or in their place. */
  identify?: (...args: Args) => Awaitable<Identity>
  /** The attribute `key`. */
  keyGenerator?: (...args: Args) => Awaitable<string | Uint8Array>
  /**
   * The attribute `route`, such as `GET /v3/configs/:key`: a function, or patterns of which the first that matches is
   * taken (`:name`: a segment; `*`: the rest). Default: the pattern under which the framework finds the handler.
   */
  route?: readonly string[] | ((...args: Args) => string)
  /** Units that a request takes; default 1. */
  cost?: Units | ((...args: Args) => Awaitable<Units>)
  /** Units that it took in the end, asked when the response is over: the difference is charged, or given back. */
  actualCost?: (...args: Args) => Awaitable<Units | undefined>
  /** Requests that pass unasked. */
  skip?: (...args: Args) => Awaitable<boolean>
  /** Status of a denial; default: the engine's, 429. */
  statusCode?: number
  /** Body of a denial: `'error'` (default), `'message'` or `'problem'` (RFC 9457). */
  body?: 'error' | 'message' | 'problem'
  /** Body of a denial in other words: a text, or what becomes JSON, or a function that gives either. */
  message?: unknown | ((...args: Args) => unknown)
  /** `RateLimit-Policy` and `RateLimit` of the newest draft on every response; default false. */
  standardHeaders?: boolean | 'draft-8'
  /** `X-RateLimit-…` on every response; default true. */
  legacyHeaders?: boolean
  /** For the next two; default: all was sent, with a status below 400. */
  requestWasSuccessful?: (...args: Args) => Awaitable<boolean>
  /** Gives back what a request took that was not successful. */
  skipFailedRequests?: boolean
  /** Gives back what a request took that was successful. */
  skipSuccessfulRequests?: boolean
  /**
   * An engine that fails: lets requests pass (true), or hands the error on as that of a handler (default). A request that the
   * policy cannot decide about, for it lacks an attribute, never passes.
   */
  passOnStoreError?: boolean
  /**
   * Told of an engine that failed, and of functions that failed after the response. What it throws itself is a warning of the
   * process (`TIDEGATE_ON_ERROR`), once for each middleware.
   */
  onError?: (error: unknown, ...args: Args) => void
  /**
   * Proxies whose word on the client's address counts: their number, or addresses, networks, `'loopback'`, `'linklocal'`,
   * `'uniquelocal'`, and `'unix'`: connections through a Unix socket, which have no address. Default: the framework's own setting, and where it has none, none.
   */
  trustProxy?: number | string | readonly string[]
  /** Where those proxies tell it; default `'x-forwarded-for'`. */
  proxyHeader?: 'x-forwarded-for' | 'forwarded'
}

/** What every middleware can be asked. */
export interface GateState {
  readonly limiter: Limiter
  /** Calls into the engine that failed, and functions that failed after a response. */
  readonly failures: number
}

export type { Attributes, Decision, Limiter, Units }
