'use strict'

// An interceptor for undici's dispatchers (undici 7 and newer): each dispatch waits for its turn, and an answer that asks
// for another attempt is read away and not shown to whoever asked.

const { isReadOnce, sayOnce } = require('../lib/pacer-wrap.js')
const { isRetryAgent, warnOfUndici } = require('../lib/pacer-retries.js')
const { checkedCall, isPacer } = require('../lib/pacer.js')
const { wrongType } = require('../lib/options.js')

// Most bytes of a refused answer that are read so that its connection serves the next request.
const MOST_DRAINED = 1 << 16

function pace(pacer, options) {
  if (!isPacer(pacer)) throw wrongType('pacer', 'a Pacer', pacer)
  const given = checkedCall(options)
  return (dispatch) => (opts, handler) => {
    if (isRetryAgent(opts.dispatcher)) warnOfUndici()
    new Exchange(pacer, given, dispatch, opts, handler).start()
    return true
  }
}

// One request of a user's, with all its attempts. To its handler it is the controller, before and between attempts too.
class Exchange {
  #pacer
  #given
  #dispatch
  #opts
  #handler
  #abort = new AbortController()
  #attempt

  constructor(pacer, given, dispatch, opts, handler) {
    this.#pacer = pacer
    this.#given = given
    this.#dispatch = dispatch
    this.#opts = opts
    this.#handler = handler
  }

  async start() {
    const { signal } = this.#given
    if (signal?.aborted) this.abort(signal.reason)
    const onAbort = () => this.abort(signal.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const isOnce = isReadOnce(this.#opts.body)
    const once = isOnce ? { maxRetries: 0 } : undefined
    const call = { ...this.#given, ...once, signal: this.#abort.signal }
    try {
      this.#handler.onRequestStart?.(this, {})
      const run = this.#pacer.run(() => this.#send(), call)
      await (isOnce ? run.catch(sayOnce) : run)
      this.#attempt.show()
    } catch (error) {
      this.#attempt?.drain()
      this.#handler.onResponseError?.(this, error)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #send() {
    this.#attempt?.drain()
    return new Promise((resolve, reject) => {
      this.#attempt = new Attempt(this, this.#handler, resolve, reject)
      this.#dispatch(this.#opts, this.#attempt)
    })
  }

  abort(reason) {
    if (this.aborted) return
    this.#abort.abort(reason)
    this.#attempt?.controller?.abort(reason)
  }

  pause() {
    this.#attempt?.controller?.pause()
  }

  resume() {
    this.#attempt?.controller?.resume()
  }

  get paused() {
    return this.#attempt?.controller?.paused ?? false
  }

  get aborted() {
    return this.#abort.signal.aborted
  }

  get reason() {
    return this.aborted ? this.#abort.signal.reason : null
  }

  get rawHeaders() {
    return this.#attempt?.controller?.rawHeaders ?? null
  }

  get rawTrailers() {
    return this.#attempt?.controller?.rawTrailers ?? null
  }
}

// One attempt. What its answer says is kept back until the pacer has decided: then it is shown, or read away.
class Attempt {
  #exchange
  #handler
  #resolve
  #reject
  // What to tell the handler; undefined: it is told at once.
  #kept = []
  #isDrained = false
  #drained = 0
  #hasAnswer = false

  constructor(exchange, handler, resolve, reject) {
    this.#exchange = exchange
    this.#handler = handler
    this.#resolve = resolve
    this.#reject = reject
    this.controller = undefined
  }

  show() {
    const kept = this.#kept
    this.#kept = undefined
    for (const [name, args] of kept) this.#handler[name]?.(this.#exchange, ...args)
    this.controller?.resume()
  }

  drain() {
    if (this.#kept === undefined || this.#isDrained) return
    this.#isDrained = true
    this.#kept = []
    this.controller?.resume()
  }

  #tell(name, ...args) {
    if (this.#isDrained) return
    if (this.#kept === undefined) this.#handler[name]?.(this.#exchange, ...args)
    else this.#kept.push([name, args])
  }

  onRequestStart(controller) {
    this.controller = controller
    if (this.#exchange.aborted) controller.abort(this.#exchange.reason)
  }

  onRequestUpgrade(controller, status, headers, socket) {
    this.#hasAnswer = true
    this.#tell('onRequestUpgrade', status, headers, socket)
    this.#resolve({ status, headers })
  }

  onResponseStart(controller, status, headers, message) {
    // Early hints and the like are no answer.
    if (status < 200) return
    this.#hasAnswer = true
    controller.pause()
    this.#tell('onResponseStart', status, headers, message)
    this.#resolve({ status, headers })
  }

  onResponseData(controller, data) {
    if (!this.#isDrained) return this.#tell('onResponseData', data)
    this.#drained += data.length
    if (this.#drained > MOST_DRAINED) controller.abort(new Error('nobody reads this answer'))
  }

  onResponseEnd(controller, trailers) {
    this.#tell('onResponseEnd', trailers)
  }

  onResponseError(controller, error) {
    if (this.#hasAnswer) this.#tell('onResponseError', error)
    else this.#reject(error)
  }
}

module.exports = { pace }
