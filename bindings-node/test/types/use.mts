// Compiled, never run: the types of the ESM face.

import tidegate, {
  Limiter,
  ManualClock,
  PolicyError,
  RateLimitedError,
  Admission,
  Reservation,
  hashSecret,
  version,
  type Alert,
  type BodyStyle,
  type Decision,
  type ExactDecision,
  type ExactUsageReport,
  type HeaderStyle,
  type LimiterOptions,
  type Policy,
  type Request,
  type Snapshot,
  type Stats,
  type Subject,
  type UsageReport,
  type Watch,
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
const admission: Admission = limiter.admit({ key: 'a' }, 2n)
const stillOut: boolean = admission.decision.allowed && admission.renew()
admission.finish()
export { stillOut }
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

const request: Request = { key: 'k1', account: Buffer.from('acme'), route: 'GET /v3/configs' }
const subject: Subject = request
const plans: Policy = {
  default_plan: 'free',
  plan_by: 'account',
  ipv6_prefix: 56,
  plan: {
    free: { limit: [{ name: 'day', rate: '5/day', by: ['account'], alerts: [0.8], message: 'No.', close: true }] },
    pro: { inherits: 'free', scale: 10, limit: [{ name: 'day', unlimited: true }] },
  },
  limit: [
    { rate: '5/minute', when: { route: ['GET /a', 'GET /b'] }, missing: 'skip', shadow: true },
    { rate: '5/hour', grow: { ceiling: 9, step: 1, after: '1m', shrink_after: '1h' } },
    { method: 'concurrency', quota: 2, max_hold: '1m' },
  ],
  exempt: [{ name: 'health', when: { route: 'GET /health' } }],
  bypass: [{ name: 'dev', attribute: 'dev_key', secrets: [hashSecret('secret')], enabled: false }],
  block: [{ name: 'abuse', when: { ip: '10.0.0.0/8' } }],
  usage: { window: '24h', resolution: '1h', by: 'route' },
}
const planned = new Limiter(plans)
planned.acquire(subject, 2).plan satisfies string | null
planned.tryAcquire({ key: 'a' }) satisfies boolean
planned.acquireMany(['a', request]) satisfies Decision[]
planned.renew(request) satisfies boolean
planned.planOf(request) satisfies string | null
planned.planOfAt(request, 0n) satisfies string | null
planned.assign('acme', 'pro', { durationMs: 5 })
planned.assignAt('acme', 'pro', null, 5n)
planned.unassign(Buffer.from('acme'))
const report: UsageReport = planned.usage(request, { windowMs: 5 })
report.limit?.utilizationPermille satisfies number | undefined
const exactReport: ExactUsageReport = planned.usageAt(request, null, 5n)
exactReport.byKind[0]?.units satisfies bigint | undefined
planned.onAlert((alert: Alert) => void (alert.used / alert.capacity))
planned.onAlert(null)
const watch: Watch = planned.watch('policy.toml', (event) => {
  if (event.type === 'refused') event.error satisfies Error
  else event.type satisfies 'updated'
})
watch.close()
const headerStyle: HeaderStyle = 'both'
const bodyStyle: BodyStyle = 'problem'
new Headers(decision.headers(headerStyle))
decision.headers() satisfies Record<string, string>
decision.body(bodyStyle) satisfies string
decision.contentType() satisfies string
decision.status satisfies number
decision.windowMs satisfies number | null
decision.burstRemaining satisfies number | null
exact.burstRemaining satisfies bigint | null
exact.madeAtNs satisfies bigint
exact.headers('draft') satisfies Record<string, string>
planned.measure(request, (_decision, held) => held.renew()) satisfies Promise<boolean>

// @ts-expect-error attributes are text or bytes
limiter.acquire({ key: 5 })
// @ts-expect-error what a request does not have is left out
limiter.acquire({ key: 'a', plan: undefined })
// @ts-expect-error no such style
decision.headers('fancy')
// @ts-expect-error no such style
decision.body('legacy')
// @ts-expect-error a listener, or null
limiter.onAlert()
// @ts-expect-error a watch tells somebody
limiter.watch('policy.toml')
// @ts-expect-error a plan is assigned to a value
limiter.assign({ account: 'acme' }, 'pro')
// @ts-expect-error no such option
limiter.assign('acme', 'pro', { duration: 5 })
// @ts-expect-error no such option
limiter.usage('a', { window: 5 })
// @ts-expect-error unlimited limits have a name
new Limiter({ plan: { free: { limit: [{ unlimited: true }] } } })
// @ts-expect-error secrets are text
hashSecret(Buffer.from('a'))

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
