import { spawn } from 'node:child_process'
import { Network } from './network.ts'

/** A process with a small lab, to see what becomes of that when it ends. */

const network = new Network()
const place = network.join('place')
const sleep = ['netns', 'exec', place.namespace, 'sleep', '1000']
const occupant = spawn('ip', sleep, { stdio: 'ignore' })
const prefix = place.namespace.split('.').slice(0, -1).join('.')
process.stdout.write(`${JSON.stringify({ prefix, pid: occupant.pid })}\n`)

switch (process.argv[2]) {
  case 'close':
    network.close()
    break
  case 'fail':
    setTimeout(() => {
      throw Object.assign(new Error('as it was told to'), { stack: '' })
    }, 100)
    break
  default:
    setTimeout(() => {}, 60_000)
}
