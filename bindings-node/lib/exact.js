'use strict'

// Decisions to the unit and the nanosecond: plain objects. What is asked of the engine later are fields that do not enumerate,
// as those of `Decision` do not.

const { native } = require('./native.js')
const { REASONS, originOf, headersOf, bodyOf } = require('./decision.js')

// What the fields of each need besides the decision's own.
const hidden = new WeakMap()

// As the engine takes it back.
function keptOf(exact) {
  const { origin, madeAtNs, burstRemaining } = hidden.get(exact)
  const { limit, remaining, retryAfterNs, resetAfterNs, reason } = exact
  return {
    origin,
    reason: REASONS.indexOf(reason),
    limit,
    remaining,
    retryAfterNs: retryAfterNs ?? undefined,
    resetAfterNs,
    madeAtNs,
    burstRemaining: burstRemaining ?? undefined,
  }
}

const getters = {
  plan: (exact) => originOf(hidden.get(exact).origin).plan,
  method: (exact) => originOf(hidden.get(exact).origin).method,
  windowNs: (exact) => originOf(hidden.get(exact).origin).windowNs,
  shadow: (exact) => originOf(hidden.get(exact).origin).shadow,
  madeAtNs: (exact) => hidden.get(exact).madeAtNs,
  burstRemaining: (exact) => hidden.get(exact).burstRemaining,
  message: (exact) => native.adviceOf(keptOf(exact)).message,
  closes: (exact) => native.adviceOf(keptOf(exact)).closes,
  status: (exact) => native.adviceOf(keptOf(exact)).status,
}

const methods = {
  headers: (exact, style) => headersOf(keptOf(exact), style),
  body: (exact, style) => bodyOf(keptOf(exact), style).text,
  contentType: (exact, style) => bodyOf(keptOf(exact), style).contentType,
}

const FIELDS = {}
for (const [name, read] of Object.entries(getters)) {
  FIELDS[name] = {
    get() {
      return read(this)
    },
  }
}
for (const [name, call] of Object.entries(methods)) {
  FIELDS[name] = {
    value(style) {
      return call(this, style)
    },
  }
}

// A decision of the native layer as users see it.
function exact({ origin, madeAtNs, burstRemaining, ...fields }) {
  hidden.set(fields, { origin, madeAtNs, burstRemaining })
  return Object.defineProperties(fields, FIELDS)
}

module.exports = { exact }
