// Compiled, never run: the types of the ESM face.

import tidegate, {
  Limiter,
  ManualClock,
  PolicyError,
  RateLimitedError,
  Reservation,
  version,
  type Decision,
  type ExactDecision,
  type LimiterOptions,
  type Policy,
  type Snapshot,
  type Stats,
} from 'tidegate'

const clock: ManualClock = new tidegate.ManualClock(0)
const options: LimiterOptions = { clock, maxKeys: 5, onFull: 'deny', store: 'memory:', name: 'x' }
const policy: Policy = {
  timezone: 'UTC',
  limit: [
    { name: 'a', rate: '5/minute' },
    { name: 'b', cascade: ['1/second', { rate: '2/hour', burst: 3 }] },
    { name: 'c', method: 'concurrency', quota: 5 },
  ],
}
const limiter = new Limiter(policy, options)
const fromFile: Limiter = Limiter.fromFile(new URL('file:///policy.toml'), { clock: 'system' })

const yes: boolean = limiter.tryAcquire('a') && fromFile.tryAcquire(Buffer.from('a'), 2n)
const decision: Decision = limiter.acquire(new Uint8Array(1), 3)
const many: Decision[] = limiter.acquireMany(['a', Buffer.from('b')]).concat(limiter.acquireMany(new Set('ab'), 2n))
const manyExact: ExactDecision[] = limiter.acquireManyAt(['a'], 1, 5n)
// @ts-expect-error: one key is for acquire
limiter.acquireMany('a')
// @ts-expect-error: no keys
limiter.acquireMany([1])
const wait: number = decision.retryAfterMs + decision.resetAfterMs + decision.remaining
const exact: ExactDecision = limiter.acquireAt('a', 1, 5n)
const never: boolean = exact.retryAfterNs === null
const snapshot: Snapshot = limiter.snapshot('a')
const used: number = snapshot.buckets[0]?.used ?? 0
const stats: Stats = limiter.stats()
const estimate: Reservation = limiter.reserve('a', 600)
const left: number = estimate.decision.remaining
const exactly: bigint = limiter.reserveAt('a', 600, 5n).decision.remaining
const value: Promise<number> = limiter.measure('a', async (d) => d.limit, { cost: 2 })
const value2: Promise<string> = limiter.measure('a', () => 'x')
const waited: Promise<Decision> = limiter.wait('a', {
  cost: 1,
  timeoutMs: 5,
  signal: new AbortController().signal,
})
switch (decision.reason) {
  case 'ok':
  case 'limited':
  case 'blocked':
  case 'bypass':
  case 'impossible':
    break
  default:
    decision.reason satisfies never
}
try {
  limiter.update('5/minute')
} catch (error) {
  if (error instanceof PolicyError) error.line satisfies number | undefined
  if (error instanceof RateLimitedError) error.decision satisfies Decision
}
version satisfies string

// @ts-expect-error a key is a string or bytes
limiter.acquire(5)
// @ts-expect-error costs are numbers or bigints
limiter.acquire('a', '1')
// @ts-expect-error no such option
new Limiter('1/second', { maxkeys: 5 })
new Limiter('1/second', { clock: 'counter' })
new Limiter('1/second', { clock: 'coarse' })
// @ts-expect-error no such clock
new Limiter('1/second', { clock: 'sundial' })
// @ts-expect-error no such store
new Limiter('1/second', { store: 'disk' })
// @ts-expect-error explicit times are bigints
limiter.acquireAt('a', 1, 5)
// @ts-expect-error explicit times have no default
limiter.peekAt('a', 1)
// @ts-expect-error decisions are read-only
decision.allowed = true
// @ts-expect-error reservations come from reserve
new Reservation()
// @ts-expect-error no such option
limiter.wait('a', { timeout: 5 })

export { yes, many, manyExact, wait, never, used, stats, left, exactly, value, value2, waited }
