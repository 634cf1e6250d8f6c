import * as adapter from './undici.js'

export * from './undici.js'
export default adapter
