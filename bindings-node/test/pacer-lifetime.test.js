'use strict'

// Nothing leaks: calls that never end, pacers that are forgotten, workers that are stopped. Needs --expose-gc.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { Worker } = require('node:worker_threads')
const { Limiter, ManualClock, Pacer } = require('tidegate')

const idle = () => new Promise(setImmediate)

// Collects until `is` holds; finalizers run between.
async function collected(is) {
  for (let round = 0; round < 100; round++) {
    // What was looked at through a WeakRef stays until then.
    await idle()
    global.gc()
    await idle()
    if (is()) return true
  }
  return false
}

test('a call that can never end gives its slot and its permit back', async () => {
  const limiter = new Limiter({ limit: [{ name: 'calls', method: 'concurrency', quota: 3 }] })
  const pacer = new Pacer(limiter, { key: 'a', concurrency: 3 })
  // Their promises are reachable from nowhere.
  for (let n = 0; n < 3; n++) pacer.run(() => new Promise(() => {}))
  assert.equal(pacer.stats().inFlight, 3)
  assert.equal(limiter.snapshot('a').buckets[0].remaining, 0)
  const next = pacer.run(() => 'next')
  assert.ok(await collected(() => pacer.stats().inFlight === 0))
  assert.equal(await next, 'next')
  assert.equal(limiter.snapshot('a').buckets[0].remaining, 3)
  // Their places go on.
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map((n) => pacer.run(() => n))), [1, 2, 3, 4])
  }
  assert.equal(pacer.stats().inFlight, 0)
})

test('a call that somebody waits for is not collected', async () => {
  const pacer = new Pacer()
  let end
  const call = pacer.run(() => new Promise((resolve) => { end = resolve }))
  assert.equal(await collected(() => pacer.stats().inFlight === 0), false)
  end('done')
  assert.equal(await call, 'done')
})

test('calls that crash leak no slot and no permit', async () => {
  const limiter = new Limiter({ limit: [{ name: 'calls', method: 'concurrency', quota: 2 }] })
  const pacer = new Pacer(limiter, { key: 'a', concurrency: 2 })
  const crash = new Error('crash')
  for (let n = 0; n < 10; n++) {
    await assert.rejects(pacer.run(() => { throw crash }), (error) => error === crash)
    await assert.rejects(pacer.run(async () => { throw crash }), (error) => error === crash)
  }
  assert.equal(pacer.stats().inFlight, 0)
  assert.equal(limiter.snapshot('a').buckets[0].remaining, 2)
})

test('a pacer that nobody has any more is collected', async () => {
  const clock = new ManualClock(0)
  const kept = []
  const make = () => {
    const pacer = new Pacer('1/hour', { clock })
    pacer.run(() => 1)
    return new WeakRef(pacer)
  }
  for (let n = 0; n < 20; n++) kept.push(make())
  assert.ok(await collected(() => kept.every((ref) => ref.deref() === undefined)))
})

test('an idle pacer keeps no process alive, a call that waits does', () => {
  const run = (code) => execFileSync(process.execPath, ['-e', code], { cwd: __dirname, encoding: 'utf8' })
  const idlePacer = "new (require('tidegate').Pacer)('1/hour').run(() => 1).then(() => console.log('done'))"
  assert.equal(run(idlePacer), 'done\n')
  const waiting = `
    const pacer = new (require('tidegate').Pacer)('20/second burst 1', { headroom: 0 })
    pacer.run(() => 1)
    pacer.run(() => 2).then(() => console.log('waited'))`
  assert.equal(run(waiting), 'waited\n')
})

test('workers that are stopped in the middle of calls do no harm', async () => {
  const code = `
    const { Pacer } = require('tidegate')
    const pacer = new Pacer('1000000/second', { concurrency: 4 })
    const { parentPort } = require('node:worker_threads')
    let told = false
    const loop = async () => {
      for (;;) {
        await pacer.run(async () => 1)
        if (!told) parentPort.postMessage('running')
        told = true
      }
    }
    for (let n = 0; n < 8; n++) loop()`
  for (let n = 0; n < 3; n++) {
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    assert.equal(typeof (await worker.terminate()), 'number')
  }
})
