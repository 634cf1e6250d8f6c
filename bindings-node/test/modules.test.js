'use strict'

const { test } = require('node:test')
const assert = require('node:assert/strict')
const path = require('node:path')
const { version: packaged, exports: map } = require('tidegate/package.json')
const required = require('tidegate')

const ADAPTERS = ['express', 'fastify', 'koa', 'hono', 'nest', 'express-rate-limit-store'].map((name) => `./${name}`)
const CLIENTS = ['axios', 'undici'].map((name) => `./${name}`)

test('require and import share one instance', async () => {
  const imported = await import('tidegate')
  assert.equal(imported.default, required)
  const names = Object.keys(imported).filter((name) => name !== 'default')
  assert.deepEqual(names.sort(), Object.keys(required).sort())
  for (const name of names) assert.equal(imported[name], required[name], name)
  const clock = new imported.ManualClock(0)
  assert.equal(new required.Limiter('1/second', { clock }).tryAcquire('a'), true)
})

test('one version', () => assert.equal(required.version, packaged))

test('the raw binding is not part of the package', () => {
  assert.throws(() => require('tidegate/tidegate.node'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
  assert.deepEqual(Object.keys(map), ['.', ...ADAPTERS, ...CLIENTS, './package.json'])
  assert.doesNotMatch(JSON.stringify(map), /\.node"/)
})

test('adapters: require and import share one instance, types come with both, no framework is loaded', async () => {
  const fs = require('node:fs')
  for (const adapter of [...ADAPTERS, ...CLIENTS]) {
    const name = `tidegate${adapter.slice(1)}`
    const [own, imported] = [require(name), await import(name)]
    const names = Object.keys(imported).filter((one) => one !== 'default')
    assert.ok(names.length > 0)
    for (const one of names) assert.equal(imported[one], own[one], `${name}: ${one}`)
    for (const condition of ['import', 'require']) {
      for (const file of Object.values(map[adapter][condition])) assert.ok(fs.existsSync(path.join(__dirname, '..', file)), file)
    }
  }
  assert.deepEqual(Object.keys(require.cache).filter((file) => file.includes('node_modules')), [])
})

test('types come with import and with require', () => {
  const fs = require('node:fs')
  for (const [name, conditions] of Object.entries(map)) {
    if (name === './package.json') continue
    for (const condition of ['import', 'require']) {
      assert.deepEqual(Object.keys(conditions[condition]), ['types', 'default'], name)
      for (const file of Object.values(conditions[condition])) {
        assert.ok(fs.existsSync(path.join(__dirname, '..', file)), file)
      }
    }
  }
})

test('the example runs as it stands', () => {
  const fs = require('node:fs')
  const os = require('node:os')
  const { execFileSync } = require('node:child_process')
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-'))
  try {
    // As npm installs a folder: by a link.
    fs.symlinkSync(path.join(__dirname, '..'), path.join(folder, 'tidegate'), 'dir')
    const file = path.join(__dirname, '../../examples/node/hello.js')
    const env = { ...process.env, NODE_PATH: folder }
    assert.deepEqual(execFileSync(process.execPath, [file], { encoding: 'utf8', env }).split('\n'), [
      'request 1: 1 left',
      'request 2: 0 left',
      'wait 500 ms',
      'admitted again',
      '',
    ])
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})
