'use strict'

const { native } = require('./native.js')
const { wrongType } = require('./options.js')

function hashSecret(secret) {
  if (typeof secret !== 'string') throw wrongType('secret', 'a string', secret)
  return native.hashSecret(secret)
}

module.exports = { hashSecret }
