import adapter from './nest.js'

export const { TidegateThrottlerStorage } = adapter
