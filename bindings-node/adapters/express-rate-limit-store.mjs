import adapter from './express-rate-limit-store.js'

export const { TidegateStore } = adapter
