'use strict'

// Real clients, in a thread of their own so that what they measure is not their servers' work. Each has a connection, and
// waits a moment of its own before it begins: none queue behind each other.

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')

// What `clients` clients got for `requests` requests in all, by turns for each of `keys`: for each its key, status, headers,
// body and the time it took.
async function load(job) {
  const worker = new Worker(__filename, { workerData: job })
  const [answers] = await once(worker, 'message')
  await worker.terminate()
  return answers
}

async function run({ origin, clients, requests, keys, path }) {
  const { Pool } = require('undici')
  const pool = new Pool(origin, { connections: clients, pipelining: 1 })
  const answers = []
  let next = 0
  async function client(number) {
    await sleep(number)
    while (next < requests) {
      const key = keys[next++ % keys.length]
      const began = performance.now()
      const { statusCode, headers, body } = await pool.request({ path, method: 'GET', headers: { 'x-key': key } })
      const text = await body.text()
      answers.push({ key, status: statusCode, headers, text, ms: performance.now() - began })
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  await pool.close()
  parentPort.postMessage(answers)
}

if (!isMainThread && workerData?.origin !== undefined) void run(workerData)

module.exports = { load }
