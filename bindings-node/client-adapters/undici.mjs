// The ESM face of the one adapter: `import` and `require` share it.
import adapter from './undici.js'

export const { pace } = adapter
export default adapter
