'use strict'

// Why a pacer gave a call up. What it merely hands on (a 404, an exception) is none of these.

class PacerError extends Error {
  constructor(message, details = {}) {
    const { cause, ...fields } = details
    super(message, cause === undefined ? undefined : { cause })
    Object.assign(this, fields)
  }
}

// The server refused every attempt: `attempts`, `label`, `status`; `cause`: the last answer.
class RetriesExhaustedError extends PacerError {}

// The server asks for a longer wait than `maxRetryAfterMs`: `retryAfterMs`, `maxMs`, `attempts`, `label`.
class RetryAfterTooLongError extends PacerError {}

// No time is left before the deadline: `attempts`, `label`.
class DeadlineExceededError extends PacerError {}

// Nothing is sent for a while: `reason`, `status`, `retryAfterMs`.
class BreakerOpenError extends PacerError {}

// `map` ended before its end: `results`, `done`, `index`; `resume` goes on.
class MapError extends PacerError {}

const CODES = new Map([
  [PacerError, 'ERR_PACER'],
  [RetriesExhaustedError, 'ERR_RETRIES_EXHAUSTED'],
  [RetryAfterTooLongError, 'ERR_RETRY_AFTER_TOO_LONG'],
  [DeadlineExceededError, 'ERR_DEADLINE_EXCEEDED'],
  [BreakerOpenError, 'ERR_BREAKER_OPEN'],
  [MapError, 'ERR_MAP_INTERRUPTED'],
])

for (const [kind, code] of CODES) {
  // On the prototype, so that they are no own properties of each error.
  for (const [field, value] of Object.entries({ name: kind.name, code })) {
    Object.defineProperty(kind.prototype, field, { value, configurable: true, writable: true })
  }
}

const KINDS = {
  retries_exhausted: RetriesExhaustedError,
  retry_after_too_long: RetryAfterTooLongError,
  deadline_exceeded: DeadlineExceededError,
  breaker_open: BreakerOpenError,
}

const OTHER_CODES = { impossible: 'ERR_PACER_IMPOSSIBLE', closed: 'ERR_PACER_CLOSED' }

// A failure of the native layer as users see it.
function pacerErrorOf({ kind, message, ...fields }, cause) {
  const known = KINDS[kind]
  if (known) return new known(message, { ...fields, cause })
  return new PacerError(message, { ...fields, code: OTHER_CODES[kind] ?? 'ERR_PACER', cause })
}

module.exports = {
  PacerError,
  RetriesExhaustedError,
  RetryAfterTooLongError,
  DeadlineExceededError,
  BreakerOpenError,
  MapError,
  pacerErrorOf,
}
