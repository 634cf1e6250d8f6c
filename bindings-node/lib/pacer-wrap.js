'use strict'

// Functions that go through a pacer. Arguments in the form of `fetch` are understood: a body that can be read only once
// is not sent twice, and the call's own signal ends its waiting.

const { isObject } = require('./pacer-answer.js')
const { RetriesExhaustedError } = require('./pacer-errors.js')
const { warnOfRetries } = require('./pacer-retries.js')

function wrapped(pacer, work, options) {
  warnOfRetries(work)
  // None at all is the quickest.
  const plain = Object.values(options).some((value) => value !== undefined) ? options : undefined
  const paced = function (...args) {
    const call = fetchCall(args)
    if (call === undefined) return pacer.run(() => work.apply(this, args), plain)
    warnOfRetries(undefined, call)
    const once = call.isOnce ? { maxRetries: 0 } : undefined
    const signal = options.signal ?? call.signal
    const paced = pacer.run(() => work.apply(this, call.arguments()), { ...options, ...once, signal })
    return call.isOnce ? paced.catch(sayOnce) : paced
  }
  Object.defineProperty(paced, 'name', { value: work.name, configurable: true })
  return paced
}

const isRequest = (value) => isObject(value) && typeof value.clone === 'function' && typeof value.url === 'string'

// A call in the form of `fetch`: `(url or Request, { body, signal, … })`; `undefined`: it has another.
function fetchCall(args) {
  const [input, init] = args
  const isUrl = typeof input === 'string' || input instanceof URL
  if (!isUrl && !isRequest(input)) return undefined
  if (init !== undefined && init !== null && !isObject(init)) return undefined
  const own = init?.body
  // A body of `init` takes the place of the request's, which is not read then.
  const clones = isRequest(input) && (own === undefined || own === null) && !input.bodyUsed
  const signal = init?.signal ?? (isUrl ? undefined : input.signal)
  return {
    init,
    input,
    isOnce: isReadOnce(own),
    signal: signal instanceof AbortSignal ? signal : undefined,
    arguments: () => (clones ? [input.clone(), ...args.slice(1)] : args),
  }
}

// Is a body gone once it was sent? Streams and iterators are; texts, bytes, blobs and forms are not.
function isReadOnce(body) {
  if (!isObject(body)) return false
  return (
    typeof body.getReader === 'function' ||
    typeof body.pipe === 'function' ||
    typeof body.next === 'function' ||
    typeof body[Symbol.asyncIterator] === 'function'
  )
}

// The error of a call that was not tried again says why.
function sayOnce(error) {
  if (error instanceof RetriesExhaustedError) {
    error.message += '; its body is a stream and cannot be sent twice'
  }
  throw error
}

module.exports = { wrapped, isReadOnce, sayOnce }
