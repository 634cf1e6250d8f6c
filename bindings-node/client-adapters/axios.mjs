// The ESM face of the one adapter: `import` and `require` share it.
import adapter from './axios.js'

export const { pace } = adapter
export default adapter
