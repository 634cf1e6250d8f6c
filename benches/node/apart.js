'use strict'

// Each candidate in a process of its own: the code that V8 makes for one is not shaped by what another did before it.

const { spawnSync } = require('node:child_process')

// Runs `file` with `task`, a plain object, and answers with what it reports.
function apart(file, task) {
  const { status, stdout, error } = spawnSync(process.execPath, [file, '--task', JSON.stringify(task)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${file} failed for ${JSON.stringify(task)}`)
  return JSON.parse(stdout)
}

// The task of this process, when it is such a one.
function taskOf(argv) {
  const at = argv.indexOf('--task')
  return at < 0 ? undefined : JSON.parse(argv[at + 1])
}

// Ends at once: peers leave timers behind.
function report(result) {
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
}

// Nanoseconds that this process has computed, all of its threads together: what others on the machine do is not in it.
function computed() {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

module.exports = { apart, taskOf, report, computed, median }
