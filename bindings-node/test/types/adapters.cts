import express = require('express')
import tidegate = require('tidegate')
import adapter = require('tidegate/express')
import plugin = require('tidegate/fastify')

const app = express()
app.use(adapter.rateLimit({ limiter: new tidegate.Limiter('1/minute'), keyGenerator: (req) => req.ip ?? '' }))

export { plugin }
