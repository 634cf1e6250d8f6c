'use strict'

// node examples/node/hello.js (after `npm install ./bindings-node`)

const { Limiter, ManualClock } = require('tidegate')

const clock = new ManualClock(Date.UTC(2026, 0, 1))
const limiter = new Limiter('2/second; 100/hour', { clock }) // without a clock: the system's

for (let request = 1; request <= 3; request++) {
  const { allowed, remaining, retryAfterMs } = limiter.acquire('user:42')
  console.log(allowed ? `request ${request}: ${remaining} left` : `wait ${retryAfterMs} ms`)
}
clock.advance(500)
console.log(limiter.tryAcquire('user:42') ? 'admitted again' : 'still denied')
