'use strict'

const { watched } = require('./bodies.js')
const { Gate, whenOver } = require('./gate.js')
const { methodOf } = require('./routes.js')
const { Passage } = require('../lib/passage.js')

const port = {
  // Of @hono/node-server; elsewhere there is none.
  request: (c) => c.env?.incoming ?? { headers: Object.fromEntries(c.req.raw.headers) },
  response: (c) => c.env?.outgoing,
  ip: (c) => c.env?.incoming?.socket?.remoteAddress,
  method: (c) => c.req.method,
  path: (c) => c.req.path,
  route: (c) => `${methodOf(c.req.method)} ${patternOf(c) ?? c.req.path}`,
  succeeded: (c) => c.res.status < 400,
}

// The handler's own, which comes last; what is for all methods is middleware.
function patternOf(c) {
  return c.req.matchedRoutes.findLast(({ method }) => method !== 'ALL')?.path
}

function rateLimit(options) {
  const gate = new Gate(options, port, { handler: 'function' })

  async function middleware(c, next) {
    const passage = await gate.enter([c])
    if (passage === null) return next()
    const { decision } = passage
    c.set('rateLimit', decision)
    if (!decision.allowed) return refuse(gate, passage, c, next)
    const { outgoing } = c.env ?? {}
    if (outgoing && passage.owes) whenOver(gate, [c], outgoing, passage)
    try {
      await next()
      // After the handler: a response that it has made itself knows nothing of headers that were set before.
      // What is there already, of a limit further inside, stays.
      passage.eachHeader((name, value) => c.res.headers.has(name) || c.header(name, value))
    } catch (error) {
      if (!outgoing) gate.over(passage, [c], false)
      throw error
    }
    if (!outgoing && passage.owes) await watch(gate, passage, c)
  }

  return Object.defineProperties(middleware, {
    limiter: { value: gate.limiter },
    failures: { get: () => gate.failures },
  })
}

// Without a server of Node whoever reads the body says when the response is over.
async function watch(gate, passage, c) {
  const end = (completed) => gate.over(passage, [c], completed)
  // Of the answer to HEAD nobody reads it.
  if (c.req.method === 'HEAD') return end(true)
  const response = await watched(c.res, end)
  if (response === c.res) return
  // Else the headers of the one before would be added to its own.
  c.res = undefined
  c.res = response
  // An estimate knows the context, and so the body: that would never be collected.
  if (response.body !== null && passage instanceof Passage) dropped.register(response.body, { gate, passage })
}

// Bodies that nobody reads, and nobody cancels.
const dropped = new FinalizationRegistry(({ gate, passage }) => gate.over(passage, [], false))

async function refuse(gate, passage, c, next) {
  const refusal = await gate.refusal(passage, [c])
  if (gate.options.handler) {
    const response = await gate.options.handler(c, next, { ...refusal, decision: passage.decision })
    if (response) c.res = response
    for (const name in refusal.headers) c.header(name, refusal.headers[name])
    return undefined
  }
  return c.body(refusal.text, refusal.status, { ...refusal.headers, 'Content-Type': refusal.contentType })
}

module.exports = { rateLimit }
