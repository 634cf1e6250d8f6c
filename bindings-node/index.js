'use strict'

const { Limiter } = require('./lib/limiter.js')
const { ManualClock } = require('./lib/clock.js')
const { Reservation } = require('./lib/reservation.js')
const { Admission } = require('./lib/admission.js')
const { PolicyError, RateLimitedError } = require('./lib/errors.js')
const { hashSecret } = require('./lib/secrets.js')
const { Pacer, readHeaders } = require('./lib/pacer.js')
const pacerErrors = require('./lib/pacer-errors.js')
const { native } = require('./lib/native.js')

module.exports = {
  Limiter,
  ManualClock,
  Reservation,
  Admission,
  PolicyError,
  RateLimitedError,
  hashSecret,
  Pacer,
  readHeaders,
  PacerError: pacerErrors.PacerError,
  RetriesExhaustedError: pacerErrors.RetriesExhaustedError,
  RetryAfterTooLongError: pacerErrors.RetryAfterTooLongError,
  DeadlineExceededError: pacerErrors.DeadlineExceededError,
  BreakerOpenError: pacerErrors.BreakerOpenError,
  MapError: pacerErrors.MapError,
  version: native.version(),
}
