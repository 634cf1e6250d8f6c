'use strict'

const path = require('node:path')

const BUILD = path.join(__dirname, '../scripts/build.js')

// The compiled addon, as `scripts/build.js` leaves it.
function load() {
  try {
    return require('../tidegate.node')
  } catch (cause) {
    throw new Error(
      'tidegate: the native addon is missing or does not fit this system (perhaps npm was ' +
        `told to run no scripts); build it with: node ${BUILD} (needs Rust, https://rustup.rs)`,
      { cause },
    )
  }
}

module.exports = { native: load() }
