'use strict'

// A limiter that follows its policy file. Nothing here waits for a time: only for the event that must come.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { spawnSync } = require('node:child_process')
const { Worker } = require('node:worker_threads')
const { Limiter, ManualClock, PolicyError } = require('tidegate')

async function inFolder(body) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-'))
  // A watch keeps no event loop alive.
  const alive = setInterval(() => {}, 1 << 30)
  try {
    await body(path.join(folder, 'policy.toml'))
  } finally {
    clearInterval(alive)
    fs.rmSync(folder, { recursive: true })
  }
}

const rate = (text) => `[[limit]]\nname = "a"\nrate = "${text}"\n`

// Events, each to be waited for.
function events() {
  const [seen, waiting] = [[], []]
  return {
    listener: (event) => (waiting.length > 0 ? waiting.shift()(event) : seen.push(event)),
    next: () => (seen.length > 0 ? seen.shift() : new Promise((resolve) => waiting.push(resolve))),
  }
}

test('a limiter follows its file: what is right is in force, what is wrong is told', () =>
  inFolder(async (file) => {
    fs.writeFileSync(file, rate('10/hour'))
    const limiter = new Limiter('1/hour', { clock: new ManualClock(0) })
    const { listener, next } = events()
    const watch = limiter.watch(file, listener)
    // The first load is done.
    assert.equal(limiter.acquire('k', 4).limit, 10)
    fs.writeFileSync(file, rate('20/hour'))
    assert.deepEqual(await next(), { type: 'updated' })
    assert.deepEqual([limiter.peek('k', 0).limit, limiter.snapshot('k').buckets[0].quota], [20, 20])

    fs.writeFileSync(file, rate('20/fortnight'))
    const refused = await next()
    assert.equal(refused.type, 'refused')
    assert.ok(refused.error instanceof PolicyError)
    assert.deepEqual([refused.error.line, refused.error.message.includes(file)], [3, true])

    fs.rmSync(file)
    const gone = await next()
    assert.deepEqual([gone.type, gone.error.code], ['refused', 'ENOENT'])
    assert.equal(limiter.peek('k', 0).limit, 20)
    watch.close()
    watch.close()
  }))

test('an update lets those in who wait', () =>
  inFolder(async (file) => {
    const window = (quota) => `[[limit]]\nrate = "${quota}/hour"\nalgorithm = "fixed_window"\n`
    fs.writeFileSync(file, window(1))
    const limiter = new Limiter('9/hour', { clock: new ManualClock(0) })
    const { listener, next } = events()
    const watch = limiter.watch(pathToFileURL(file), listener)
    limiter.acquire('k')
    let decision
    limiter.wait('k').then((answer) => (decision = answer))
    fs.writeFileSync(file, window(2))
    assert.deepEqual(await next(), { type: 'updated' })
    await new Promise(setImmediate)
    assert.deepEqual([decision?.allowed, decision?.limit], [true, 2])
    watch.close()
  }))

test('what is closed is told nothing, and follows nothing', () =>
  inFolder(async (file) => {
    fs.writeFileSync(file, rate('10/hour'))
    const limiter = new Limiter('1/hour', { clock: new ManualClock(0) })
    const { listener, next } = events()
    const closed = limiter.watch(file, () => assert.fail('it is closed'))
    fs.writeFileSync(file, rate('20/hour'))
    // The event is on its way to an event loop that does not turn.
    while (limiter.peek('k').limit === 10);
    closed.close()
    await new Promise(setImmediate)
    const watch = new Limiter('1/hour').watch(file, listener)
    fs.writeFileSync(file, rate('30/hour'))
    await next()
    assert.equal(limiter.peek('k').limit, 20)
    watch.close()
  }))

test('a file that cannot be followed is refused, and changes nothing', () =>
  inFolder(async (file) => {
    const limiter = new Limiter('1/hour')
    const none = () => {}
    assert.throws(() => limiter.watch(file, none), { code: 'ENOENT', message: /policy\.toml/ })
    fs.writeFileSync(file, rate('x'))
    assert.throws(() => limiter.watch(file, none), PolicyError)
    assert.throws(() => limiter.watch(5, none), { name: 'TypeError', message: /^path: / })
    for (const listener of [undefined, null, {}]) {
      assert.throws(() => limiter.watch(file, listener), { name: 'TypeError', message: /^listener: / })
    }
    assert.equal(limiter.peek('k').limit, 1)
  }))

test('a watch puts off no end: of a process, of a worker', () =>
  inFolder(async (file) => {
    fs.writeFileSync(file, rate('10/hour'))
    const code = `
      const { Limiter } = require(${JSON.stringify(require.resolve('tidegate'))})
      const limiter = new Limiter('1/hour')
      limiter.watch(${JSON.stringify(file)}, () => {})
      console.log(limiter.acquire('k').limit)
    `
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
    assert.deepEqual([status, stdout, stderr], [0, '10\n', ''])
    for (let i = 0; i < 3; i++) {
      const forever = `${code}; require('node:worker_threads').parentPort.postMessage('ready'); for (;;) limiter.acquire('k')`
      const worker = new Worker(forever, { eval: true, stdout: true })
      await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
      fs.writeFileSync(file, rate(`${i + 11}/hour`))
      assert.equal(await worker.terminate(), 1)
    }
    const worker = new Worker(code, { eval: true, stdout: true })
    assert.equal(await new Promise((resolve) => worker.on('exit', resolve)), 0)
  }))

test('an error of a listener is an uncaught one, and the next event comes', () =>
  inFolder(async (file) => {
    fs.writeFileSync(file, rate('10/hour'))
    const code = `
      const fs = require('node:fs')
      const { Limiter } = require(${JSON.stringify(require.resolve('tidegate'))})
      const file = ${JSON.stringify(file)}
      const alive = setInterval(() => {}, 1 << 30)
      let events = 0
      process.on('uncaughtException', (error) => {
        console.log(error.message)
        if (events === 2) return clearInterval(alive)
        fs.writeFileSync(file, '[[limit]]\\nrate = "12/hour"\\n')
      })
      new Limiter('1/hour').watch(file, ({ type }) => { throw new Error(\`\${type} \${++events}\`) })
      fs.writeFileSync(file, '[[limit]]\\nrate = "11/hour"\\n')
    `
    const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
    assert.deepEqual([status, stdout], [0, 'updated 1\nupdated 2\n'])
  }))
