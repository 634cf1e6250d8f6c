'use strict'

require('./adapters/suite.js').suite('express')
