// Compiled, never run: the types of the client side.

import axios from 'axios'
import { Agent } from 'undici'
import tidegate, {
  BreakerOpenError,
  DeadlineExceededError,
  Limiter,
  ManualClock,
  MapError,
  Pacer,
  PacerError,
  RetriesExhaustedError,
  RetryAfterTooLongError,
  readHeaders,
} from 'tidegate'
import { pace as paceAxios } from 'tidegate/axios'
import { pace as paceUndici } from 'tidegate/undici'

const pacer = new Pacer('100/minute', {
  concurrency: 4,
  headroom: 2,
  maxRetries: 3,
  baseMs: 100,
  capMs: 5000,
  maxRetryAfterMs: 60_000,
  deadlineMs: 120_000,
  seed: 7n,
  clock: new ManualClock(0),
  nearLimit: 200,
  maxUnauthorized: 1,
  maxForbidden: 0,
  maxFailures: 5,
  breakerCooldownMs: 1000,
  classify: ({ status, error }) => (status === 500 || error?.code === 'ECONNRESET' ? 'retry' : undefined),
  onNearLimit: (event) => console.log(event.name, event.remaining),
  onEvent: (event) => {
    if (event.kind === 'retry') console.log(event.label, event.delayMs)
    // @ts-expect-error a retry has one, a pause has none
    if (event.kind === 'pause') console.log(event.label)
  },
})
new Pacer()
new Pacer(null, {})
new Pacer({ limit: [{ name: 'a', rate: '1/second' }] })
new Pacer(new Limiter('1/second'), { key: { account: 'a' } })
// @ts-expect-error a number is no policy
new Pacer(5)
// @ts-expect-error no such option
new Pacer('1/second', { maxRetry: 1 })
// @ts-expect-error no such class
new Pacer('1/second', { classify: () => 'maybe' })

const controller = new AbortController()
const response: Response = await pacer.run(() => fetch('http://x'), {
  label: 'x',
  cost: 2,
  maxRetries: 1,
  deadlineMs: 10,
  signal: controller.signal,
})
const attempt: number = await pacer.run(({ attempt, signal }) => (signal?.aborted ? 0 : attempt))
// @ts-expect-error no such option
pacer.run(() => 1, { lable: 'x' })

const paced: (input: string, init?: RequestInit) => Promise<Response> = pacer.wrap(fetch)
const wrapped: (n: number) => Promise<string> = pacer.wrap((n: number) => String(n), { label: 'n' })
// @ts-expect-error arguments stay what they are
wrapped('x')

const results: string[] = await pacer.map([1, 2], async (item, index, { attempt }) => `${item}${index}${attempt}`, {
  concurrency: 2,
  onProgress: ({ done, total, index }) => console.log(done, total ?? '?', index),
})
pacer.observe(response)
pacer.observe(new Headers())
pacer.observe({ 'retry-after': '1' })
const waits: Record<string, number> = pacer.stats().waits
pacer.reset()
pacer.close()

const { retryAfterMs, quotas } = readHeaders(new Map([['retry-after', '1']]), { nowMs: 0 })
const wait: number = retryAfterMs ?? 0
const name: string = quotas[0]!.name
// @ts-expect-error it may not say
const sure: number = retryAfterMs

try {
  await paced('http://x')
} catch (error) {
  if (error instanceof RetriesExhaustedError) console.log(error.attempts, error.label, error.status, error.cause)
  if (error instanceof RetryAfterTooLongError) console.log(error.retryAfterMs, error.maxMs)
  if (error instanceof DeadlineExceededError) console.log(error.attempts)
  if (error instanceof BreakerOpenError) console.log(error.reason === 'authentication', error.retryAfterMs)
  if (error instanceof MapError) console.log(await error.resume(), error.results)
  if (error instanceof PacerError) console.log(error.code)
}

const api = paceAxios(axios.create(), pacer, { label: 'api' })
await api.get('/x', { pacer: { cost: 2 } })
// @ts-expect-error no such option
await api.get('/x', { pacer: { costs: 2 } })
// @ts-expect-error no instance
paceAxios({}, pacer)
new Agent().compose(paceUndici(pacer, { label: 'undici' }))
// @ts-expect-error no pacer
paceUndici('1/second')

export { attempt, name, results, sure, tidegate, wait, waits }
