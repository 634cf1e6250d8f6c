'use strict'

// Starts the service: PORT (default 8080), ADMIN_TOKEN; TRAFFIC=1 plays some clients.

const { createService, ACCOUNTS } = require('./service.js')
const { play } = require('./traffic.js')

const port = Number(process.env.PORT ?? 8080)
const { server, limiter } = createService({ adminToken: process.env.ADMIN_TOKEN })

server.listen(port, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`
  const [key] = ACCOUNTS.acme.keys
  console.log(`use:   ${origin}/usage`)
  console.log(`try:   curl -i -H 'Authorization: Bearer ${key}' ${origin}/v3/configs`)
  if (process.env.TRAFFIC) play(origin, ACCOUNTS)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    const { allowed, limited } = limiter.stats()
    console.log(`${allowed} admitted, ${limited} limited`)
    server.closeAllConnections()
    server.close()
  })
}
