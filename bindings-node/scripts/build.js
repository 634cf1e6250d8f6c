'use strict'

// Compiles the addon with cargo and puts it beside index.js; `npm install` runs this.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..')
const target = path.join(root, 'tidegate.node')

function fail(message) {
  console.error(`tidegate: ${message}`)
  process.exit(1)
}

if (!fs.existsSync(path.join(root, '..', 'core', 'Cargo.toml'))) {
  fail(
    'the engine (../core) is not beside this package; install from a checkout of the ' +
      'repository: npm install ./bindings-node',
  )
}

const cargo = process.env.CARGO || 'cargo'
const profile = process.env.TIDEGATE_PROFILE || 'release'
const args = ['build', '--profile', profile, '--locked', '--lib', '--message-format=json-render-diagnostics']
const build = spawnSync(cargo, args, {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 28,
  stdio: ['ignore', 'pipe', 'inherit'],
})
if (build.error?.code === 'ENOENT') {
  fail(
    `cargo was not found (tried '${cargo}'): the addon is compiled on this machine and needs ` +
      'Rust 1.88 or newer; install it from https://rustup.rs, then run npm install again',
  )
}
if (build.error) fail(`cargo could not be started: ${build.error.message}`)
if (build.status !== 0) fail('cargo could not build the addon; its messages are above')

const library = build.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter((message) => message.reason === 'compiler-artifact')
  .filter((message) => message.target.kind.includes('cdylib'))
  .flatMap((message) => message.filenames)
  .find((name) => /\.(so|dylib|dll)$/.test(name))
if (!library) fail('cargo built no library; is crate-type "cdylib" still in Cargo.toml?')

// Renamed into place: a process that has the old one mapped keeps it whole.
const fresh = `${target}.${process.pid}`
fs.copyFileSync(library, fresh)
fs.renameSync(fresh, target)
