'use strict'

// When a response is over that no server of Node sends: a `Response` of the web, whose body somebody reads, or does not.

const { setImmediate } = require('node:timers')

const NOT_YET = Symbol('not yet')

// What a promise comes to when it is kept by now; nothing here waits longer than for what is due already.
function byNow(promise) {
  const turn = new Promise((resolve) => setImmediate(resolve, NOT_YET))
  return Promise.race([promise, turn]).catch(() => NOT_YET)
}

// The response to send in place of one, with the same body. `end` is called with true when all of the body was read, with
// false when it broke off or was cancelled; perhaps more than once.
//
// A body that is complete already (a text, say) is over at once: it stays a body of known length.
async function watched(response, end) {
  const { body } = response
  if (body === null || body === undefined || body.locked) {
    end(true)
    return response
  }
  const reader = body.getReader()
  const reads = [reader.read()]
  let last = await byNow(reads[0])
  const chunk = last.value
  if (chunk instanceof Uint8Array) {
    reads.push(reader.read())
    last = await byNow(reads[1])
  }
  if (last.done) {
    end(true)
    return new Response(chunk ?? new Uint8Array(0), response)
  }
  return new Response(streamOf(reader, reads, end), response)
}

// What `reads` come to, and then all that is left. Read only when somebody reads it.
function streamOf(reader, reads, end) {
  const source = {
    async pull(controller) {
      try {
        const { done, value } = await (reads.shift() ?? reader.read())
        if (!done) return controller.enqueue(value)
        end(true)
      } catch (error) {
        end(false)
        throw error
      }
      controller.close()
    },
    cancel(reason) {
      end(false)
      return reader.cancel(reason)
    },
  }
  return new ReadableStream(source, { highWaterMark: 0 })
}

module.exports = { watched }
