'use strict'

// The compiled addon, as `scripts/build.js` leaves it.
function load() {
  try {
    return require('../tidegate.node')
  } catch (cause) {
    throw new Error(
      'tidegate: the native addon is missing or does not fit this system; build it with ' +
        '`npm rebuild tidegate` (needs Rust, see https://rustup.rs)',
      { cause },
    )
  }
}

module.exports = { native: load() }
