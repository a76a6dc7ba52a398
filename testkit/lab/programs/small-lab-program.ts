import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Network } from '../network.ts'

/** A process with a network of one machine: tests check that nothing of the network is left when the process ends. */

const network = new Network()
const machine = network.addMachine('machine')
const sleep = ['netns', 'exec', machine.namespace, 'sleep', '1000']
const sleeper = spawn('ip', sleep, { stdio: 'ignore' })
const prefix = machine.namespace.split('.').slice(0, -1).join('.')
process.stdout.write(`${JSON.stringify({ prefix, pid: sleeper.pid })}\n`)

// The test has looked at the namespaces when it writes.
await once(process.stdin, 'data')
switch (process.argv[2]) {
  case 'close':
    network.close()
    process.stdin.destroy()
    break
  case 'fail':
    throw Object.assign(new Error('the test asked for this failure'), { stack: '' })
  default:
    setTimeout(() => {}, 60_000)
}
