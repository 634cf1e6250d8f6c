'use strict'

// The scripts of tests/client/scripts.json, which all hosts replay; here on the layer below `Pacer`, which tells each step.
//
// It does not tell how long a single call has to wait: a tick tells it of all. And a call that may go at once is told so
// when it begins; so scripts that drop one before that (it has paid for nothing then) are not for this host.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { native } = require('../lib/native.js')
const file = require('../../tests/client/scripts.json')

const ms = (ns) => Number(BigInt(ns)) / 1e6
const AMOUNTS = {
  concurrency: 'concurrency',
  headroom: 'headroom',
  max_retries: 'maxRetries',
  max_failures: 'maxFailures',
  near_limit: 'nearLimit',
  seed: 'seed',
}
const SPANS = { base_ns: 'baseMs', max_retry_after_ns: 'maxRetryAfterMs', deadline_ns: 'deadlineMs' }
const FINISHED = new Map([['undefined', 'done'], ['-1', 'raise']])
const CHECKED = new Map([['undefined', 'go'], ['-1', 'fail']])

class Replay {
  constructor({ policy, ...given }) {
    const options = { events: 1000 }
    for (const [name, value] of Object.entries(given)) {
      if (Object.hasOwn(SPANS, name)) options[SPANS[name]] = ms(value)
      else if (Object.hasOwn(AMOUNTS, name)) options[AMOUNTS[name]] = Number(value)
      else assert.fail(`unknown option ${name}`)
    }
    this.clock = new native.NativeClock(ms(file.start_ns))
    this.pacer = new native.NativePacer(options, this.clock, policy, policy && 'text')
    this.calls = this.pacer.calls()
    this.events = []
    // By name: the place, how it stood when it began, its number while it waits.
    this.known = new Map()
  }

  // What a step comes to, and what of that was expected.
  step(step) {
    const call = this.known.get(step.call)
    const { expect = {} } = step
    switch (step.do) {
      case 'begin': {
        const place = this.known.size
        const deadlineMs = step.deadline_ns && ms(step.deadline_ns)
        const stands = this.calls.beginWith(place, step.cost, step.max_retries, deadlineMs, step.label)
        this.known.set(step.call, { place, begun: stands, number: stands, failure: this.failure(stands) })
        return []
      }
      case 'check': {
        // One that was decided when it began has been told then, and is not asked.
        const isNew = call.begun === undefined || call.begun === -1
        const stands = isNew ? call.begun : this.calls.check(call.place)
        const failure = isNew ? call.failure : this.failure(stands)
        call.begun = undefined
        if (stands >= 0) call.begun = stands
        return this.compare({ step: CHECKED.get(String(stands)) ?? 'wait', ...failure }, expect, 'ns')
      }
      case 'finish': {
        const stands = this.calls.finish(call.place, step.status, step.headers?.flat(), step.class)
        const failure = this.failure(stands)
        if (stands >= 0) Object.assign(call, { begun: stands, number: stands })
        const seen = { finish: FINISHED.get(String(stands)) ?? 'retry', ...failure }
        const events = this.pacer.events()
        this.events.push(...events)
        const retry = events.find(({ kind }) => kind === 'retry')
        if (seen.finish === 'retry') seen.after_ms = retry.delayMs
        return this.compare(seen, expect)
      }
      case 'drop':
        this.calls.drop(call.place)
        return []
      case 'advance':
        this.clock.advanceNs(BigInt(step.ns))
        return []
      case 'tick': {
        const [next, ...ready] = this.pacer.tick()
        const name = (number) => [...this.known].find(([, call]) => call.number === number)[0]
        const seen = { ready: ready.map(name), ...(next >= 0 ? { next_ms: next } : {}) }
        return this.compare(seen, expect)
      }
      case 'stats':
        return this.compare(this.stats(), expect)
      case 'events': {
        const events = [...this.events.splice(0), ...this.pacer.events()]
        return [events.map(({ kind }) => kind), expect]
      }
      case 'close':
        this.pacer.close()
        return []
      default:
        return assert.fail(`unknown step ${step.do}`)
    }
  }

  failure(stands) {
    if (stands !== -1) return {}
    const { kind, message, attempts, label, retryAfterMs } = this.pacer.failure()
    const told = { kind, message, attempts, label, retry_after_ms: retryAfterMs }
    return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
  }

  stats() {
    const stats = this.pacer.stats()
    return {
      calls: stats.calls,
      attempts: stats.attempts,
      retries: stats.retries,
      limited: stats.limited,
      wait_ms: stats.waitMs,
      waits: Object.fromEntries(stats.waits.map(({ name, calls }) => [name, calls])),
      pauses: stats.pauses,
      exhausted: stats.exhausted,
      breaker_opened: stats.breakerOpened,
      in_flight: stats.inFlight,
      waiting: stats.waiting,
    }
  }

  // Expectations are in ns, Node tells ms; `unknown` is not told.
  compare(seen, expect, unknown) {
    const wanted = {}
    for (const [name, value] of Object.entries(expect)) {
      if (name === unknown) continue
      if (name.endsWith('_ns')) wanted[name.replace(/_ns$/, '_ms')] = ms(value)
      else wanted[name] = name === 'message' ? value.replace('max_retry_after', 'maxRetryAfterMs') : value
    }
    return [seen, wanted]
  }
}

// Does it drop a call that may go and was not told so?
function dropsUntold({ steps }) {
  return steps.some(({ do: what, call }, index) => {
    if (what !== 'drop') return false
    const before = steps.slice(0, index).filter((step) => step.call === call)
    return before.at(-1).do !== 'check' && before.at(-1).do !== 'finish'
  })
}

let replayed = 0
for (const script of file.scripts) {
  const isOurs = !dropsUntold(script)
  test(`${script.name}: ${script.about}`, { skip: isOurs ? false : 'drops a call that was told to go' }, () => {
    const replay = new Replay(script.options)
    for (const [index, step] of script.steps.entries()) {
      const [seen, wanted] = replay.step(step)
      assert.deepEqual(seen, wanted, `step ${index}: ${JSON.stringify(step)}`)
    }
    replayed++
  })
}

test('most scripts were replayed', () => assert.ok(replayed >= file.scripts.length - 3, String(replayed)))
