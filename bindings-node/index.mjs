// The ESM face of the one instance: `import` and `require` give the same classes.
import tidegate from './index.js'

export const {
  Limiter,
  ManualClock,
  Reservation,
  Admission,
  PolicyError,
  RateLimitedError,
  hashSecret,
  Pacer,
  readHeaders,
  PacerError,
  RetriesExhaustedError,
  RetryAfterTooLongError,
  DeadlineExceededError,
  BreakerOpenError,
  MapError,
  version,
} = tidegate
export default tidegate
