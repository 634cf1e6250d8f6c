'use strict'

// The calls of one pacer: their places in the native layer, those who wait, and the one timer of all of them.

const { listen, wakes, waiters } = require('./waiting.js')
const { pacerErrorOf } = require('./pacer-errors.js')

// The longest delay of a timer; a longer wait ticks in between.
const LONGEST_TIMER = 0x7fffffff

// A place in the native layer. Whoever makes the call holds it, and nobody else: when a call is forgotten (its promise
// can never settle), the place is collected, and what it held is given back. Kept for later calls, it is registered
// once, and so are its functions made once.
class Place {
  // Of the call under way, for its further attempts.
  work = undefined
  signal = undefined

  // `settled(place, result, failed)`: what the first attempt's promise came to.
  constructor(index, settled) {
    this.index = index
    this.onResult = (result) => settled(this, result, false)
    this.onError = (error) => settled(this, error, true)
  }
}

// Counted down, away from the numbers of waiters.
let nextId = 0xffffffff

class Calls {
  #native
  #begin
  #beginWith
  #check
  #finish
  #drop
  #tellEvents
  #id
  #free = []
  #places = 0
  // By number: calls that wait for their turn, or for a retry.
  #waiting = new Map()
  #timer
  #timerAt = 0
  #lost
  #settled

  // `settled`: what the first attempt of a call came to, for its place. `tellEvents`: undefined when nobody listens.
  constructor(native, settled, tellEvents) {
    this.#native = native
    this.#settled = settled
    this.#tellEvents = tellEvents
    const { begin, beginWith, check, finish, drop } = native.calls()
    this.#begin = begin
    this.#beginWith = beginWith
    this.#check = check
    this.#finish = finish
    this.#drop = drop
    this.#id = nextId--
    native.wakes(wakes, this.#id)
    this.#lost = new FinalizationRegistry((index) => this.#forget(index))
  }

  // A call begins. What it waits for says `number`; `undefined`: it may go.
  begin(place) {
    const number = this.#begin(place.index)
    return number === undefined ? undefined : this.#stands(place, number)
  }

  beginWith(place, { cost, maxRetries, deadlineMs, label }) {
    const number = this.#beginWith(place.index, cost, maxRetries, deadlineMs, label)
    return number === undefined ? undefined : this.#stands(place, number)
  }

  // The answer has no status. `undefined`: the call is over.
  finishPlain(place) {
    const number = this.#finish(place.index)
    if (number === undefined) this.#end(place)
    return number
  }

  // The answer to an attempt; `undefined`: the call is over and the answer is handed on. `outcome`: for the error.
  finish(place, status, pairs, kind, outcome) {
    const number = this.#finish(place.index, status, pairs, kind)
    if (number >= 0) {
      this.news()
      return number
    }
    const error = number === undefined ? undefined : this.#failure(outcome)
    this.#end(place)
    if (error !== undefined) throw error
    return undefined
  }

  // Until the call may go. Rejects, and gives the place back, when it is given up or aborted.
  turn(place, number, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        this.drop(place)
        throw signal.reason
      }
      const onAbort = () => {
        this.#leave(number)
        this.drop(place)
        reject(signal.reason)
      }
      const settle = (error) => {
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) return resolve()
        this.#free.push(place)
        reject(error)
      }
      if (signal !== undefined) listen(signal, onAbort)
      // The first one who waits: from now on, whatever wakes the pacer ticks.
      if (this.#waiting.size === 0) waiters.set(this.#id, this)
      this.#waiting.set(number, { place, settle })
      // Listeners have run since it was told to wait; who made calls may have let it go.
      this.#settle(number)
      if (this.#waiting.has(number)) this.ask()
    })
  }

  // A place for a call.
  take() {
    const place = this.#free.pop()
    if (place !== undefined) return place
    return this.#placeAt(this.#places++)
  }

  // A call ends without an answer.
  drop(place) {
    this.#drop(place.index)
    this.#free.push(place)
    this.news()
  }

  // What was done may have let others go, or have something to tell.
  news() {
    if (this.#waiting.size > 0) this.ask()
    else if (this.#tellEvents !== undefined) this.#tellEvents()
  }

  // Lets those go who may, and comes back when the next may.
  ask() {
    const [next, ...ready] = this.#native.tick()
    for (const number of ready) this.#settle(number)
    this.#arm(this.#waiting.size > 0 ? next : -1)
    this.#tellEvents?.()
  }

  #settle(number) {
    const waiter = this.#waiting.get(number)
    if (waiter === undefined) return
    const stands = this.#check(waiter.place.index)
    if (stands >= 0) return
    this.#leave(number)
    waiter.settle(stands === undefined ? undefined : this.#failure())
  }

  #leave(number) {
    this.#waiting.delete(number)
    if (this.#waiting.size === 0) {
      waiters.delete(this.#id)
      this.#arm(-1)
    }
  }

  // The one timer: nobody waits without it, unless something else will wake them.
  #arm(nextMs) {
    if (nextMs < 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      return
    }
    const delay = Math.min(Math.ceil(nextMs), LONGEST_TIMER)
    const at = performance.now() + delay
    // One that is over about then, or before, serves as well: it ticks, and is set anew.
    if (this.#timer !== undefined && this.#timerAt <= at + 0.5 && this.#timerAt > at - 50) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.ask()
    }, delay)
  }

  #stands(place, number) {
    if (number >= 0) return number
    const error = this.#failure()
    this.#end(place)
    throw error
  }

  #end(place) {
    this.#free.push(place)
    if (this.#waiting.size > 0 || this.#tellEvents !== undefined) this.news()
  }

  // Why the native layer has just given up. No listener runs here: states are halfway.
  #failure(outcome) {
    try {
      return pacerErrorOf(this.#native.failure(), outcome)
    } catch (refused) {
      // By the limiter: a request that it cannot decide about.
      return refused
    }
  }

  // A call whose place was collected.
  #forget(index) {
    this.#drop(index)
    // The index goes on with another object.
    this.#free.push(this.#placeAt(index))
    this.news()
  }

  #placeAt(index) {
    const place = new Place(index, this.#settled)
    this.#lost.register(place, index)
    return place
  }
}

module.exports = { Calls }
