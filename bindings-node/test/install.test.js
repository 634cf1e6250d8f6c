'use strict'

// What `npm install` says when it cannot build the addon.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawnSync } = require('node:child_process')

const script = path.join(__dirname, '../scripts/build.js')

function build(file, env) {
  return spawnSync(process.execPath, [file], { encoding: 'utf8', env })
}

test('without cargo it says what is missing', () => {
  const { status, stderr } = build(script, { PATH: '' })
  assert.equal(status, 1)
  assert.match(stderr, /cargo was not found.*Rust 1\.88 or newer.*rustup\.rs/)
})

test('away from the repository it says where to install from', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-'))
  try {
    const copy = path.join(folder, 'bindings-node/scripts/build.js')
    fs.mkdirSync(path.dirname(copy), { recursive: true })
    fs.copyFileSync(script, copy)
    const { status, stderr } = build(copy, process.env)
    assert.equal(status, 1)
    assert.match(stderr, /engine \(\.\.\/core\) is not beside this package.*\.\/bindings-node/)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})

test('a package without its addon says how to build it', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-'))
  try {
    const from = path.join(__dirname, '..')
    fs.cpSync(path.join(from, 'lib'), path.join(folder, 'lib'), { recursive: true })
    fs.copyFileSync(path.join(from, 'index.js'), path.join(folder, 'index.js'))
    assert.throws(
      () => require(folder),
      (error) => {
        assert.match(error.message, /native addon is missing .*build it with: node .*build\.js/)
        assert.equal(error.cause.code, 'MODULE_NOT_FOUND')
        return true
      },
    )
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})
