'use strict'

// Many calls: results in the order of the items, a few at a time, and nothing lost when one fails.

const { checked, wrongType } = require('./options.js')
const { MapError } = require('./pacer-errors.js')
const { throwLater } = require('./errors.js')

const OPTIONS = {
  concurrency: 'number',
  onProgress: 'function',
  label: 'string',
  cost: 'any',
  maxRetries: 'number',
  deadlineMs: 'number',
  signal: 'any',
}

class Job {
  constructor(pacer, items, work, { concurrency, onProgress, ...call }) {
    this.pacer = pacer
    this.work = work
    this.concurrency = concurrency
    this.onProgress = onProgress
    this.call = call
    this.total = countOf(items)
    this.items = items[Symbol.iterator]()
    this.results = []
    this.done = 0
    this.taken = 0
    // Items that were taken, and have no result: they come first when it goes on.
    this.left = []
  }

  async run(signal) {
    // Whatever ended it before is over.
    let failure
    const fail = (cause, index) => {
      failure ??= { cause, index }
    }
    const worker = async () => {
      while (failure === undefined) {
        if (signal?.aborted) return fail(signal.reason)
        let task
        try {
          task = this.#next()
        } catch (error) {
          // Of the iterator's.
          return fail(error)
        }
        if (task === undefined) return
        await this.#one(task, signal, fail)
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.concurrency, this.total ?? Infinity) }, worker))
    if (failure === undefined) return this.results
    throw this.#interrupted(failure)
  }

  #next() {
    if (this.left.length > 0) return this.left.shift()
    const { done, value } = this.items.next()
    return done ? undefined : { item: value, index: this.taken++ }
  }

  async #one(task, signal, fail) {
    const { item, index } = task
    try {
      const work = (attempt) => this.work(item, index, attempt)
      this.results[index] = await this.pacer.run(work, { ...this.call, signal })
    } catch (error) {
      this.left.push(task)
      fail(error, index)
      return
    }
    this.done++
    this.#tell(index)
  }

  #tell(index) {
    try {
      this.onProgress?.({ done: this.done, total: this.total, index })
    } catch (error) {
      throwLater(error)
    }
  }

  #interrupted({ cause, index }) {
    this.left.sort((one, other) => one.index - other.index)
    const what = index === undefined ? 'ended' : `item ${index} failed`
    const total = this.total === null ? '' : ` of ${this.total}`
    const message = `${what} after ${this.done}${total} were done: ${cause?.message ?? cause}; resume() goes on`
    const error = new MapError(message, { cause, index, done: this.done, total: this.total })
    let resumed
    const hidden = {
      results: { value: this.results.slice(), enumerable: true },
      // Once: two that go on with one job would take each other's items.
      resume: { value: ({ signal } = {}) => (resumed ??= this.run(signal)) },
    }
    return Object.defineProperties(error, hidden)
  }
}

// How many they are, where that is known before they are read; else `null`.
function countOf(items) {
  const count = items.length ?? items.size
  return Number.isSafeInteger(count) && count >= 0 ? count : null
}

async function mapWith(pacer, items, work, options) {
  const given = checked(options, OPTIONS)
  if (typeof items?.[Symbol.iterator] !== 'function' || typeof items === 'string') {
    throw wrongType('items', 'an array or another iterable', items)
  }
  if (typeof work !== 'function') throw wrongType('work', 'a function', work)
  const { concurrency = pacer.concurrency } = given
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    const error = new RangeError(`concurrency: ${concurrency} calls at once; give 1 or more`)
    error.code = 'ERR_OUT_OF_RANGE'
    throw error
  }
  if (given.signal !== undefined && !(given.signal instanceof AbortSignal)) {
    throw wrongType('signal', 'an AbortSignal', given.signal)
  }
  return new Job(pacer, items, work, { ...given, concurrency }).run(given.signal)
}

module.exports = { mapWith }
