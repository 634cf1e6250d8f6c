'use strict'

// Answers of whatever library: their status, their headers, and what is left of them to be read.

const { wrongType } = require('./options.js')

const isObject = (value) => typeof value === 'object' && value !== null

// The status of something that has one.
function statusOf(value) {
  for (const status of [value.status, value.statusCode]) {
    if (Number.isInteger(status) && status >= 100 && status <= 999) return status
  }
  return undefined
}

// The response among what a call gave: something with a status and headers.
function responseOf(result) {
  if (!isObject(result)) return undefined
  return isObject(result.headers) && statusOf(result) !== undefined ? result : undefined
}

// The response that an error carries, or that it is itself: `response` of axios, got, ky, superagent and octokit,
// `$response` of the AWS SDK; `status` and `headers` of OpenAI's and Anthropic's clients.
function responseOfError(error) {
  if (!isObject(error)) return undefined
  for (const response of [error.response, error.$response]) {
    if (isObject(response) && statusOf(response) !== undefined) return response
  }
  return statusOf(error) === undefined ? undefined : error
}

const WANTED = 'Headers, an object, a Map, an array of pairs, or a response that has them'

// Header fields as the engine takes them: names and values by turns, all of them strings.
function pairsOf(headers) {
  const pairs = []
  if (headers === undefined || headers === null) return pairs
  if (!isObject(headers)) throw wrongType('headers', WANTED, headers)
  if (Array.isArray(headers)) addList(pairs, headers)
  else if (typeof headers[Symbol.iterator] === 'function') addEach(pairs, headers)
  else if (typeof headers.forEach === 'function') headers.forEach((value, name) => add(pairs, name, value))
  else for (const name of Object.keys(headers)) add(pairs, name, headers[name])
  return pairs
}

// What an attempt's answer says, in `into`: its response, status and header fields. What cannot be read of it (a getter that
// throws, fields that are none) is as if it were not there: what counts is the answer itself, and it is handed on.
function readAnswer(answer, failed, into) {
  try {
    const response = failed ? responseOfError(answer) : responseOf(answer)
    if (response === undefined) return
    into.status = statusOf(response)
    into.response = response
    into.pairs = []
    into.pairs = pairsOf(response.headers)
  } catch {
    // As far as it went.
  }
}

function addEach(pairs, entries) {
  for (const [name, value] of entries) add(pairs, name, value)
}

// Pairs, or names and values by turns, as `rawHeaders` has them.
function addList(pairs, list) {
  if (Array.isArray(list[0])) return addEach(pairs, list)
  for (let index = 0; index + 1 < list.length; index += 2) add(pairs, list[index], list[index + 1])
}

function add(pairs, name, value) {
  if (Array.isArray(value)) return value.forEach((one) => add(pairs, name, one))
  if (value === undefined || value === null || typeof value === 'function') return
  pairs.push(textOf(name), textOf(value))
}

// The bytes of a raw field are Latin 1, as those of a parsed one are.
function textOf(value) {
  if (typeof value === 'string') return value
  return Buffer.isBuffer(value) ? value.latin1Slice() : String(value)
}

// Headers, or those of a response.
function headersIn(value) {
  if (!isObject(value)) throw wrongType('headers', WANTED, value)
  const isResponse = isObject(value.headers) && typeof value.get !== 'function'
  return pairsOf(isResponse ? value.headers : value)
}

// Most bytes of a refused response that are read so that its connection serves the next request.
const MOST_DRAINED = 1 << 16

// Nobody reads a response that is tried again: what it still holds must not keep its connection. In the background; what
// goes wrong there is nobody's business any more.
function discard(answer, failed) {
  try {
    const response = failed ? responseOfError(answer) : answer
    if (isObject(response)) letGo(response)
  } catch {
    // It is odd, and stays as it is.
  }
}

function letGo(response) {
  const bodies = [response.body, response.data, response]
  for (const body of bodies) {
    if (!isObject(body)) continue
    if (typeof body.getReader === 'function') {
      if (!body.locked) drain(body.getReader()).catch(() => {})
      return
    }
    // Of Node (`http`, axios with `responseType: 'stream'`, undici's `request`).
    if (typeof body.resume === 'function' && typeof body.destroy === 'function') {
      drainStream(body)
      return
    }
  }
}

async function drain(reader) {
  for (let bytes = 0; bytes <= MOST_DRAINED; ) {
    const { done, value } = await reader.read()
    if (done) return
    bytes += value?.byteLength ?? MOST_DRAINED
  }
  await reader.cancel()
}

function drainStream(stream) {
  let bytes = 0
  stream.on('error', () => {})
  stream.on('data', (chunk) => {
    bytes += chunk.length
    if (bytes > MOST_DRAINED) stream.destroy()
  })
  stream.resume()
}

module.exports = { isObject, readAnswer, headersIn, discard }
