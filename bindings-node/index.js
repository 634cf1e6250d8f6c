'use strict'

const { Limiter } = require('./lib/limiter.js')
const { ManualClock } = require('./lib/clock.js')
const { Reservation } = require('./lib/reservation.js')
const { PolicyError, RateLimitedError } = require('./lib/errors.js')
const { hashSecret } = require('./lib/secrets.js')
const { native } = require('./lib/native.js')

module.exports = {
  Limiter,
  ManualClock,
  Reservation,
  PolicyError,
  RateLimitedError,
  hashSecret,
  version: native.version(),
}
