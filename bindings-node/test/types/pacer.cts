// Compiled, never run: the types of the client side, from CommonJS.

import tidegate = require('tidegate')
import tidegateAxios = require('tidegate/axios')
import tidegateUndici = require('tidegate/undici')

const pacer: tidegate.Pacer = new tidegate.Pacer('100/minute')
const limits: tidegate.ServerLimits = tidegate.readHeaders({ 'retry-after': 1 })

export = { axios: tidegateAxios.pace, limits, undici: tidegateUndici.pace(pacer) }
