'use strict'

// Whose request it is when it came through proxies: their headers say so, and so may anybody's. Each hop is believed
// only when the address that told it is a proxy of ours, from the socket backwards.

const { BlockList, isIP } = require('node:net')

const { wrongType } = require('../lib/options.js')

const NAMED = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
  unix: [],
}
const WANTED = "the number of proxies, or their addresses and networks such as ['10.0.0.0/8', 'loopback', 'unix']"
const HEADERS = { 'x-forwarded-for': fromList, forwarded: fromForwarded }

// A function from a Node request to the client's address, undefined where there is none.
function addressReader(trustProxy, proxyHeader = 'x-forwarded-for') {
  const trusts = trusting(trustProxy)
  const hopsOf = Object.hasOwn(HEADERS, proxyHeader) ? HEADERS[proxyHeader] : undefined
  if (hopsOf === undefined) {
    throw rangeError(`proxyHeader: must be ${Object.keys(HEADERS).map((name) => `'${name}'`).join(' or ')}`)
  }
  return function addressOf(request) {
    // A proxy on the same machine may have none: it calls through a Unix socket.
    const { socket } = request
    let address = plain(socket?.remoteAddress)
    const header = request.headers[proxyHeader]
    if (header === undefined) return address
    const hops = hopsOf(header)
    for (let i = hops.length - 1, passed = 0; i >= 0 && trusts(address, passed, socket); i--, passed++) {
      const hop = plain(withoutPort(hops[i]))
      // What a trusted proxy could not tell, nobody can.
      if (hop === undefined) break
      address = hop
    }
    return address
  }
}

// May what `address`, that many hops away, says be believed?
function trusting(trustProxy) {
  if (typeof trustProxy === 'number') {
    if (!Number.isSafeInteger(trustProxy) || trustProxy < 0) throw rangeError(`trustProxy: must be ${WANTED}`)
    return (_, passed) => passed < trustProxy
  }
  const list = typeof trustProxy === 'string' ? [trustProxy] : trustProxy
  // `true` would believe everybody.
  if (!Array.isArray(list)) throw wrongType('trustProxy', WANTED, trustProxy)
  const networks = new BlockList()
  const unix = list.includes('unix')
  for (const network of list.flatMap((name) => NAMED[name] ?? [name])) add(networks, network)
  return (address, passed, socket) => {
    if (address === undefined) return unix && isUnix(socket)
    return networks.check(address, familyOf(address))
  }
}

// A connection through a Unix socket has no addresses at all. One over a network that has gone has lost its remote one alone,
// or has been destroyed: its word counts no more than before.
function isUnix(socket) {
  return socket != null && !socket.destroyed && socket.remoteAddress === undefined && socket.localAddress === undefined
}

function add(networks, network) {
  const [address, bits, ...more] = String(network).split('/')
  const family = isIP(address)
  const most = family === 4 ? 32 : 128
  const length = bits === undefined ? most : Number(bits)
  if (!family || more.length > 0 || bits === '' || !Number.isInteger(length) || length < 0 || length > most) {
    throw rangeError(`trustProxy: '${network}' is no address and no network; give ${WANTED}`)
  }
  networks.addSubnet(address, length, familyOf(address))
}

const familyOf = (address) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

// An address without its zone; one that is mapped into IPv6 as the IPv4 address that it is.
function plain(address) {
  if (typeof address !== 'string') return undefined
  const [bare] = address.split('%')
  const mapped = /^::ffff:/i.test(bare) && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare
  return isIP(mapped) ? mapped : undefined
}

function withoutPort(hop) {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)
  if (bracketed) return bracketed[1]
  const parts = hop.split(':')
  return parts.length === 2 ? parts[0] : hop
}

function fromList(header) {
  return header.split(',').map((hop) => hop.trim())
}

// RFC 7239: elements with commas between, of pairs with semicolons between; values may be quoted. An element in another form
// says nothing: a quote that a client leaves open makes text of what a proxy writes behind it, and the client's would be believed.
const PAIR = /\s*([!#$%&'*+.^`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*/y

function fromForwarded(header) {
  const hops = ['']
  for (let at = 0; at < header.length; at++) {
    PAIR.lastIndex = at
    const [pair, name, quoted, token] = PAIR.exec(header) ?? ['']
    if (name?.toLowerCase() === 'for') hops[hops.length - 1] = quoted?.replace(/\\(.)/g, '$1') ?? token
    at += pair.length
    if (at < header.length && !',;'.includes(header[at])) {
      hops[hops.length - 1] = ''
      // To the next element at once: looking at each character would take long for long nonsense.
      at = header.indexOf(',', at)
      if (at < 0) break
    }
    if (header[at] === ',') hops.push('')
  }
  return hops
}

function rangeError(message) {
  const error = new RangeError(message)
  error.code = 'ERR_OUT_OF_RANGE'
  return error
}

module.exports = { addressReader, rangeError }
