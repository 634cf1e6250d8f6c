'use strict'

// Requests of an axios instance go through a pacer: its adapter is what sends each attempt, so interceptors run once.

const { isObject } = require('../lib/pacer-answer.js')
const { isReadOnce, sayOnce } = require('../lib/pacer-wrap.js')
const { warnOfAxios } = require('../lib/pacer-retries.js')
const { checkedCall, isPacer } = require('../lib/pacer.js')
const { wrongType } = require('../lib/options.js')

const paced = Symbol('paced by tidegate')

function pace(instance, pacer, options) {
  if (!isObject(instance?.defaults)) throw wrongType('instance', 'axios, or an instance of it', instance)
  if (!isPacer(pacer)) throw wrongType('pacer', 'a Pacer', pacer)
  if (instance.defaults.adapter?.[paced]) {
    throw new TypeError('instance: goes through a pacer already; make another with axios.create()')
  }
  const given = checkedCall(options)
  const below = instance.defaults.adapter
  const adapter = (config) => {
    warnOfAxios(config)
    const send = senderOf(instance, below, config)
    const isOnce = isReadOnce(config.data)
    const once = isOnce ? { maxRetries: 0 } : undefined
    const signal = config.signal ?? config.cancelToken?.toAbortSignal?.() ?? given.signal
    const call = { ...given, ...config.pacer, ...once, signal }
    const answer = pacer.run(() => send(config), call)
    return isOnce ? answer.catch(sayOnce) : answer
  }
  adapter[paced] = true
  instance.defaults.adapter = adapter
  return instance
}

// What sends: a function, or the first of some names that works here, as axios itself chooses.
function senderOf(instance, below, config) {
  if (typeof below === 'function') return below
  // Instances that `create` made do not have it.
  const { getAdapter } = instance.getAdapter ? instance : require('axios')
  return getAdapter(below, config)
}

module.exports = { pace }
