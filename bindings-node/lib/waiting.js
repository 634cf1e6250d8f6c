'use strict'

// Promises for places in the engine's queues.
//
// The engine puts the number of a waiter on a list when it should ask again; that happens
// inside calls (a release, a clock that is moved), so each such call ends with `askAgain`.

const events = require('node:events')

const { native } = require('./native.js')
const { plain } = require('./decision.js')
const { wrongType } = require('./options.js')

const wakes = new native.WakeList()
const waiters = new Map()
let lastId = 0

// The longest delay of a timer; a longer wait asks again in between.
const LONGEST_TIMER = 0x7fffffff

class Waiter {
  constructor(limiter, key, cost, timeoutMs, signal, tell, resolve, reject) {
    this.id = freeId()
    this.ticket = limiter.queue(key, cost, timeoutMs, wakes, this.id)
    this.tell = tell
    this.resolve = resolve
    this.reject = reject
    this.timer = undefined
    this.signal = signal
    this.onAbort = () => {
      this.ticket.cancel()
      this.finish()
      reject(signal.reason)
      askAgain()
    }
    waiters.set(this.id, this)
    if (signal !== undefined) listen(signal, this.onAbort)
  }

  // Is it decided? If not, asks again later.
  ask() {
    clearTimeout(this.timer)
    this.timer = undefined
    try {
      const { decision, waitMs } = this.ticket.poll()
      if (decision) {
        this.finish()
        this.tell()
        this.resolve(plain(decision))
      } else if (waitMs !== undefined) {
        this.timer = setTimeout(() => {
          this.ask()
          askAgain()
        }, Math.min(Math.ceil(waitMs), LONGEST_TIMER))
      }
    } catch (error) {
      this.finish()
      this.reject(error)
    }
  }

  // Leaves nothing behind: no timer, no listener, no place in the map.
  finish() {
    clearTimeout(this.timer)
    this.signal?.removeEventListener('abort', this.onAbort)
    waiters.delete(this.id)
  }
}

// One signal may end the waiting of many. Node takes more than ten listeners for a leak, and warns; these leave when the
// waiting is over. Whoever has set a number of their own keeps it.
function listen(signal, onAbort) {
  if (mostListeners(signal) === events.defaultMaxListeners) events.setMaxListeners(Infinity, signal)
  signal.addEventListener('abort', onAbort, { once: true })
}

function mostListeners(signal) {
  try {
    return events.getMaxListeners(signal)
  } catch {
    // Node up to 20 knows no signal whose number is 0, which is without end.
    return 0
  }
}

function freeId() {
  do lastId = (lastId + 1) >>> 0
  while (waiters.has(lastId))
  return lastId
}

// Lets the waiters that were woken ask again; their answers may wake others.
function askAgain() {
  while (waiters.size > 0) {
    const woken = wakes.take()
    if (woken.length === 0) return
    for (const id of woken) waiters.get(id)?.ask()
  }
}

// `tell` tells the alerts of the limiter.
function wait(limiter, key, cost, timeoutMs, signal, tell) {
  return new Promise((resolve, reject) => {
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw wrongType('signal', 'an AbortSignal', signal)
    }
    if (signal?.aborted) throw signal.reason
    new Waiter(limiter, key, cost, timeoutMs, signal, tell, resolve, reject).ask()
    askAgain()
  })
}

module.exports = { wait, listen, askAgain, wakes, waiters }
