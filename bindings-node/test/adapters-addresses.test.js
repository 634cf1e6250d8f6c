'use strict'

// Whose address a request counts for: what an untrusted hop writes changes nothing.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')

const { addressReader } = require('../adapters/addresses.js')

const said = (trust, header, remoteAddress, text) =>
  addressReader(trust, header)({ socket: { remoteAddress }, headers: { [header]: text } })

test('addresses: X-Forwarded-For, from the socket backwards', () => {
  for (const [trust, socket, text, client] of [
    [0, '10.0.0.1', '203.0.113.9', '10.0.0.1'],
    [[], '10.0.0.1', '203.0.113.9', '10.0.0.1'],
    [1, '10.0.0.1', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    [2, '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    [1, '10.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
    [1, '10.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    [1, '10.0.0.1', 'fe80::1%eth0', 'fe80::1'],
    [1, '10.0.0.1', '::FFFF:203.0.113.9', '203.0.113.9'],
    [1, '10.0.0.1', '[2001:db8::1', '10.0.0.1'],
    [2, '10.0.0.1', '6.6.6.6, garbage, 10.0.0.2', '10.0.0.2'],
    [['10.0.0.0/8'], '::ffff:10.0.0.1', '6.6.6.6, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    [['10.0.0.0/8'], '198.51.100.7', '203.0.113.9', '198.51.100.7'],
    // A connection without an address, through a Unix socket, is a hop as well; in no network.
    [1, undefined, '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    [['0.0.0.0/0', '::/0'], undefined, '203.0.113.9', undefined],
  ]) {
    assert.equal(said(trust, 'x-forwarded-for', socket, text), client, `${JSON.stringify(trust)}: ${text}`)
  }
})

test('addresses: connections through a Unix socket may be proxies', () => {
  const who = (trust, socket, text) => addressReader(trust)({ socket, headers: { 'x-forwarded-for': text } })
  const local = { remoteAddress: undefined, localAddress: undefined, destroyed: false }
  assert.equal(who(['unix'], local, '203.0.113.9'), '203.0.113.9')
  assert.equal(who('unix', local, '6.6.6.6, 203.0.113.9'), '203.0.113.9')
  assert.equal(who(['unix', '10.0.0.0/8'], local, '6.6.6.6, 203.0.113.9, 10.0.0.2'), '203.0.113.9')
  assert.equal(who(['10.0.0.0/8'], local, '203.0.113.9'), undefined)
  assert.equal(who(['unix'], { remoteAddress: '127.0.0.1' }, '203.0.113.9'), '127.0.0.1')
  // What a client wrote that has gone by now is not believed, nor is garbage a hop through a Unix socket.
  assert.equal(who(['unix'], { ...local, localAddress: '127.0.0.1' }, '203.0.113.9'), undefined)
  assert.equal(who(['unix'], { ...local, destroyed: true }, '203.0.113.9'), undefined)
  assert.equal(who(['unix'], undefined, '203.0.113.9'), undefined)
  assert.equal(who(['unix'], local, '203.0.113.9, garbage'), undefined)
  assert.throws(() => addressReader(['unixx']), { name: 'RangeError', message: /^trustProxy: 'unixx' is no address .*'unix'/ })
})

test('addresses: a proxy that calls through a Unix socket', async (t) => {
  const path = join(tmpdir(), `tidegate-${process.pid}.sock`)
  const addressOf = addressReader(['unix'])
  const server = http.createServer((request, response) => response.end(String(addressOf(request)))).listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
  const asked = http.get({ socketPath: path, headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' } })
  const [response] = await once(asked, 'response')
  assert.equal((await response.toArray()).join(''), '203.0.113.9')
})

test('addresses: Forwarded: what is not in the form of the RFC says nothing', () => {
  for (const [trust, text, client] of [
    [1, 'for=203.0.113.9;proto=https', '203.0.113.9'],
    [1, 'proto=https ; For="[2001:db8::1]:4711"', '2001:db8::1'],
    [1, 'for=6.6.6.6, for=_hidden', '10.0.0.1'],
    [1, 'for=6.6.6.6, proto=https', '10.0.0.1'],
    [2, 'for=6.6.6.6, for=unknown, for=10.0.0.2', '10.0.0.2'],
    [1, 'for=203.0.113.9;host="a, for=6.6.6.6"', '203.0.113.9'],
    [1, 'for=203.0.113.9 by 6.6.6.6', '10.0.0.1'],
    [1, 'nonsense, for=203.0.113.9', '203.0.113.9'],
    // A quote that the client has left open, and what the proxy wrote behind it.
    [1, 'for=6.6.6.6;x=", for="[2001:db8::1]:4711"', '10.0.0.1'],
    [1, 'for=6.6.6.6;x=", for="203.0.113.9:4711";proto=https', '10.0.0.1'],
    [1, 'for=6.6.6.6;x=", for=203.0.113.9', '203.0.113.9'],
  ]) {
    assert.equal(said(trust, 'forwarded', '10.0.0.1', text), client, text)
  }
})
