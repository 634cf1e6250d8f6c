// Compiled, never run: the types of the CommonJS core.

import tidegate = require('tidegate')

const { Limiter, ManualClock } = tidegate
const limiter: tidegate.Limiter = new Limiter('100/minute', { clock: new ManualClock(0) })
const decision: tidegate.Decision = limiter.acquire('user:42')
const remaining: number = decision.remaining

// @ts-expect-error there is no default export here
tidegate.default

export = remaining
