'use strict'

// WebSocket connections: an attempt costs as a GET, so many may be open at once, and what is sent over them is free.

const { STATUS_CODES } = require('node:http')
const { WebSocketServer } = require('ws')

const ROUTE = 'WS /v3/stream'

function streaming(server, limiter, identityOf, dashboard) {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 })
  sockets.on('headers', (lines, req) => {
    for (const [name, value] of Object.entries(req.admission.decision.headers())) lines.push(`${name}: ${value}`)
  })

  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy())
    // What a client writes there need not be a URL.
    const [pathname] = req.url.split('?', 1)
    if (pathname !== '/v3/stream') return answer(socket, 404, {}, '')
    const identity = identityOf(req)
    if (identity === null) return answer(socket, 401, {}, '')
    const admission = limiter.admit({ ...identity, route: ROUTE })
    const { decision } = admission
    dashboard.count(identity.key, decision.allowed ? 101 : decision.status)
    if (!decision.allowed) {
      const headers = { ...decision.headers(), 'Content-Type': decision.contentType() }
      return answer(socket, decision.status, headers, decision.body())
    }
    // The permit is the connection's, whether the handshake succeeds or not.
    socket.once('close', () => admission.finish())
    req.admission = admission
    sockets.handleUpgrade(req, socket, head, (ws) => ws.on('message', (data) => ws.send(String(data))))
  })
  server.on('close', () => sockets.close())
}

function answer(socket, status, headers, body) {
  const all = { ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
}

module.exports = { streaming }
