'use strict'

// Clients to look at: each key asks as often as its plan allows, and a bit more.

const RATES = { starter: 2, pro: 11, enterprise: 24 }

const CALLS = [
  ['GET', '/v3/configs'],
  ['GET', '/v3/configs/colour'],
  ['GET', '/v3/configs/colour'],
  ['PUT', '/v3/configs/colour'],
]

// Asks once for a key; gives the status.
async function ask(origin, key, [method, path]) {
  const body = method === 'PUT' ? JSON.stringify({ value: 'teal' }) : undefined
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const response = await fetch(origin + path, { method, headers, body })
  await response.arrayBuffer()
  return response.status
}

// Goes on until the process ends.
function play(origin, accounts) {
  let turn = 0
  setInterval(() => {
    turn++
    for (const { plan, keys } of Object.values(accounts)) {
      for (const [place, key] of keys.entries()) {
        // Some more now, some less then.
        const wave = 1 + Math.sin((turn + place * 20) / 9) / 2
        for (let i = 0; i < RATES[plan] * wave; i++) ask(origin, key, CALLS[(turn + i) % CALLS.length]).catch(() => {})
      }
    }
  }, 1000).unref()
}

module.exports = { play, ask, CALLS }
