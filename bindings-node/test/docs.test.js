'use strict'

// The programs of docs/node.md, as they stand there: each prints what the block after it says.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { test } = require('node:test')

const ROOT = path.join(__dirname, '..')
const PAGE = path.join(ROOT, '../docs/node.md')
const FENCE = /^```([a-z]*)\n(.*?)^```$/gms

// Where a reader's program would lie: beside a node_modules with what it needs.
function project(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-docs-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const modules = path.join(folder, 'node_modules')
  fs.mkdirSync(modules)
  fs.symlinkSync(ROOT, path.join(modules, 'tidegate'), 'dir')
  for (const name of ['express', 'fastify', 'hono']) {
    fs.symlinkSync(path.join(ROOT, 'node_modules', name), path.join(modules, name), 'dir')
  }
  return folder
}

test('docs/node.md: each program prints what the page says', async (t) => {
  const page = fs.readFileSync(PAGE, 'utf8')
  const blocks = [...page.matchAll(FENCE)].map(([, language, text]) => ({ language, text }))
  const programs = blocks.flatMap(({ language, text }, i) => (language === 'js' ? [{ text, prints: blocks[i + 1] }] : []))
  assert.ok(programs.length >= 6)
  const folder = project(t)
  await Promise.all(
    programs.map(async ({ text, prints }, number) => {
      assert.equal(prints?.language, 'text', text)
      const file = path.join(folder, `program-${number}.js`)
      fs.writeFileSync(file, text)
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder })
      assert.equal(stdout, prints.text, text)
    }),
  )
})

test('docs/node.md: every option that it names is one, and none is left out', () => {
  const page = fs.readFileSync(PAGE, 'utf8')
  const types = fs.readFileSync(path.join(ROOT, 'adapters/gate.d.ts'), 'utf8')
  const [, options] = /interface GateOptions<.*?> \{(.*?)^\}/ms.exec(types)
  const known = [...options.matchAll(/^  (\w+)\?:/gm)].map(([, name]) => name)
  const [, section] = /### Options\n(.*?)\n### /s.exec(page)
  const told = [...section.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name))
  assert.deepEqual(known.filter((name) => !told.includes(name)), [])
  assert.deepEqual(told.filter((name) => !known.includes(name) && name !== 'handler'), [])
})
