'use strict'

// The page /usage in a real browser. `UPDATE_SCREENSHOT=1 node --test` writes docs/usage-page.png and docs/usage-page-dark.png.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { once } = require('node:events')
const { test } = require('node:test')

const { ManualClock } = require('tidegate')

const { createService, ACCOUNTS } = require('./service.js')
const { ask, CALLS } = require('./traffic.js')

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const why = fs.existsSync(CHROMIUM) ? false : `no browser at ${CHROMIUM} (apt-get install chromium, or CHROMIUM=PATH)`
const DOCS = path.join(__dirname, '../../docs')

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

// Two minutes of clients, on a clock that is moved.
async function lived({ dashboard }, clock, origin) {
  for (let second = 0; second < 122; second++) {
    const asked = []
    for (const { plan, keys } of Object.values(ACCOUNTS)) {
      const rate = { starter: 1.1, pro: 6, enterprise: 11 }[plan]
      for (const [place, key] of keys.entries()) {
        const count = Math.round(rate * (1 + Math.sin((second + place * 40) / 11) / 2))
        for (let i = 0; i < count; i++) asked.push(ask(origin, key, CALLS[(second + i) % CALLS.length]))
      }
    }
    await Promise.all(asked)
    dashboard.tick()
    clock.advance(1000)
  }
}

test('the page shows what the limiter reports, live, light and dark', { skip: why }, async (t) => {
  const { chromium } = require('playwright-core')
  const clock = new ManualClock(Date.UTC(2026, 0, 1, 12))
  const service = createService({ clock })
  const { server, dashboard, limiter } = service
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  const origin = `http://127.0.0.1:${server.address().port}`
  // Time is moved by hand; the dashboard's own seconds would be others.
  dashboard.close()
  await lived(service, clock, origin)

  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-usage-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: FLAGS,
    viewport: { width: 1240, height: 900 },
    colorScheme: 'light',
  })
  t.after(async () => {
    await context.close()
    fs.rmSync(profile, { recursive: true, force: true })
  })
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  await page.goto(`${origin}/usage`)
  await page.getByText('Live', { exact: true }).waitFor()

  const [key] = ACCOUNTS.acme.keys
  const own = page.locator('section.key').filter({ hasText: '7f3a' })
  const meter = own.getByRole('meter', { name: 'hour', exact: true })
  const used = () => limiter.snapshot({ key, account: 'acme' }).buckets.find((one) => one.limit === 'hour').used
  assert.equal(await meter.getAttribute('aria-valuenow'), String(used()))
  assert.equal(await meter.getAttribute('aria-valuemax'), '3600')
  assert.equal(await page.getByRole('img').locator('polyline').count(), 5)
  assert.match(await page.getByRole('img').getAttribute('aria-label'), /last two minutes/)
  assert.equal(await page.locator('section.key').count(), 4)
  await fits(page)

  // What happens next is there without a reload.
  const before = used()
  await ask(origin, key, CALLS[0])
  dashboard.tick()
  await page.waitForFunction((more) => [...document.querySelectorAll('[role=meter]')].some((one) => one.ariaValueNow === more), String(before + 1))
  await shot(page, 'usage-page.png')
  await page.emulateMedia({ colorScheme: 'dark' })
  await shot(page, 'usage-page-dark.png')

  // On a telephone nothing is cut off.
  await page.setViewportSize({ width: 390, height: 800 })
  await fits(page)
  assert.deepEqual(errors, [])
})

async function fits(page) {
  const { scrollWidth, clientWidth } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    return { scrollWidth, clientWidth }
  })
  assert.ok(scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth}`)
}

async function shot(page, name) {
  const file = process.env.UPDATE_SCREENSHOT ? path.join(DOCS, name) : path.join(os.tmpdir(), `tidegate-${process.pid}-${name}`)
  await page.screenshot({ path: file, fullPage: true })
  assert.ok(fs.statSync(file).size > 10_000)
  if (!process.env.UPDATE_SCREENSHOT) fs.rmSync(file)
}
