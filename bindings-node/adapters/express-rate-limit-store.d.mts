export * from './express-rate-limit-store.js'
