'use strict'

// Snapshots, counters, reports of use and alerts with numbers.

const { refuse, isBig, milliseconds } = require('./decision.js')

// The bigints of `exact` as numbers; those that no number can hold refuse to be read.
function countsOf(exact, exactCall) {
  const counts = {}
  for (const [field, value] of Object.entries(exact)) {
    if (typeof value === 'bigint' && isBig(value)) refuse(counts, field, exactCall)
    else counts[field] = typeof value === 'bigint' ? Number(value) : value
  }
  return counts
}

function plainSnapshot({ blockedForNs, buckets }) {
  return {
    blockedForMs: milliseconds(blockedForNs),
    buckets: buckets.map(({ refreshAfterNs, ...bucket }) => {
      const counts = countsOf(bucket, 'snapshotAt')
      counts.refreshAfterMs = milliseconds(refreshAfterNs)
      return counts
    }),
  }
}

// A report whose `limit` is there, null when the subject has none.
function exactUsage({ limit = null, ...report }) {
  return { ...report, limit }
}

function plainUsage({ plan, windowNs, byKind, limit = null, ...report }) {
  return {
    plan,
    windowMs: milliseconds(windowNs),
    ...countsOf(report, 'usageAt'),
    byKind: byKind.map((kind) => countsOf(kind, 'usageAt')),
    limit: limit === null ? null : countsOf(limit, 'usageAt'),
  }
}

function alertOf({ request, ...alert }) {
  const attributes = request.map(({ name, value }) => [name, value])
  return { ...countsOf(alert, 'snapshotAt'), request: Object.fromEntries(attributes) }
}

module.exports = { countsOf, plainSnapshot, exactUsage, plainUsage, alertOf }
