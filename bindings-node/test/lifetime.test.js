'use strict'

// Garbage collection and worker threads. Needs --expose-gc.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { Worker } = require('node:worker_threads')
const { Limiter, ManualClock } = require('tidegate')

async function collect() {
  for (let i = 0; i < 4; i++) {
    global.gc()
    // Finalizers of native objects run between turns of the event loop.
    await new Promise(setImmediate)
  }
}

test('limiters are collected, and those in use are not', async () => {
  const kept = new Limiter('5/hour', { clock: new ManualClock(0) })
  kept.acquire('a', 2)
  const dropped = []
  for (let i = 0; i < 300; i++) {
    const limiter = new Limiter('5/hour', { maxKeys: 16 })
    limiter.acquire(`key:${i}`)
    limiter.reserve('x', 1)
    dropped.push(new WeakRef(limiter))
  }
  await collect()
  assert.ok(dropped.filter((ref) => ref.deref() !== undefined).length < 10)
  assert.equal(kept.acquire('a').remaining, 2)
})

test('a collected limiter gives its memory back', async () => {
  const round = async () => {
    for (let i = 0; i < 200; i++) {
      const limiter = new Limiter('5/hour', { maxKeys: 1000 })
      for (let k = 0; k < 200; k++) limiter.tryAcquire(`key:${k}`)
    }
    await collect()
    return process.memoryUsage().rss
  }
  await round()
  await round()
  const before = await round()
  for (let i = 0; i < 5; i++) await round()
  const grown = (await round()) - before
  assert.ok(grown < 30e6, `grew by ${grown} bytes`)
})

test('a limiter whose last user waits is kept until the wait is over', async () => {
  const clock = new ManualClock(0)
  let limiter = new Limiter('1/second', { clock })
  limiter.acquire('a')
  const waiting = limiter.wait('a')
  const running = limiter.measure('b', async () => {
    await collect()
    return 'done'
  })
  limiter = undefined
  assert.equal(await running, 'done')
  await collect()
  clock.advance(1000)
  assert.equal((await waiting).allowed, true)
})

test('collected while calls go on', async () => {
  for (let i = 0; i < 50; i++) {
    const limiter = new Limiter(`${i + 1}/hour`, { maxKeys: 16 })
    const key = {
      toString: () => assert.fail('a key is never converted'),
    }
    assert.throws(() => limiter.acquire(key), TypeError)
    for (let k = 0; k < 20; k++) {
      limiter.acquire('x'.repeat(300))
      assert.equal(limiter.acquireMany(Array(k * 100).fill('y'.repeat(k))).length, k * 100)
      if (k % 10 === 0) global.gc()
    }
  }
})

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Limiter, ManualClock, PolicyError } = require(workerData.path)
  const clock = new ManualClock(0)
  const limiter = new Limiter(workerData.policy, { clock })
  let admitted = 0
  for (let i = 0; i < 5000; i++) if (limiter.tryAcquire('a')) admitted++
  const { name, limit } = limiter.acquire('a')
  let refused
  try { new Limiter('x/y') } catch (error) { refused = error instanceof PolicyError }
  const waiting = limiter.wait('a')
  clock.advance(3_600_000)
  waiting.then((d) => parentPort.postMessage({ admitted, limit, refused, waited: d.allowed }))
`

function inWorker(code, workerData) {
  const worker = new Worker(code, { eval: true, workerData })
  return new Promise((resolve, reject) => {
    let message
    worker.on('message', (value) => (message = value))
    worker.on('error', reject)
    worker.on('exit', (code) => resolve({ code, message, worker }))
  })
}

test('workers have limiters of their own, many at once and one after another', async () => {
  const path = require.resolve('tidegate')
  for (let round = 0; round < 3; round++) {
    const workers = [10, 20, 30, 40].map((quota) =>
      inWorker(WORKER, { path, policy: `${quota}/hour` }).then(({ code, message }) => {
        assert.deepEqual(
          { code, ...message },
          { code: 0, admitted: quota, limit: quota, refused: true, waited: true },
        )
      }),
    )
    await Promise.all(workers)
  }
  assert.equal(new Limiter('1/hour').tryAcquire('a'), true)
})

test('a worker that is stopped in the middle of calls and waits takes nobody along', async () => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { Limiter } = require(workerData.path)
    const limiters = Array.from({ length: 20 }, () => new Limiter('1/hour', { maxKeys: 100 }))
    for (const limiter of limiters) { limiter.acquire('a'); limiter.wait('a') }
    const held = limiters.map((limiter) => limiter.reserve('b', 1))
    parentPort.postMessage('ready')
    for (;;) for (const limiter of limiters) { limiter.acquire('a'); limiter.recordLatency('a', 1); limiter.acquireMany(['a', 'b']) }
  `
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(code, { eval: true, workerData: { path: require.resolve('tidegate') } })
    await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
    assert.equal(await worker.terminate(), 1)
  }
  assert.equal(new Limiter('1/hour').tryAcquire('a'), true)
})

test('a process ends although a wait on a manual clock is pending', () => {
  const { spawnSync } = require('node:child_process')
  const code = `
    const { Limiter, ManualClock } = require(${JSON.stringify(require.resolve('tidegate'))})
    const limiter = new Limiter('1/hour', { clock: new ManualClock(0) })
    limiter.acquire('a')
    limiter.wait('a').then(() => console.log('admitted'))
    console.log('end')
  `
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  assert.deepEqual([status, stdout, stderr], [0, 'end\n', ''])
})
