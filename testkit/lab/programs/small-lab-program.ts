import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Network } from '../network.ts'

/** A process with a small lab, to see what becomes of that when it ends. */

const network = new Network()
const place = network.join('place')
const sleep = ['netns', 'exec', place.namespace, 'sleep', '1000']
const occupant = spawn('ip', sleep, { stdio: 'ignore' })
const prefix = place.namespace.split('.').slice(0, -1).join('.')
process.stdout.write(`${JSON.stringify({ prefix, pid: occupant.pid })}\n`)

// Not before whoever started it has looked.
await once(process.stdin, 'data')
switch (process.argv[2]) {
  case 'close':
    network.close()
    process.stdin.destroy()
    break
  case 'fail':
    throw Object.assign(new Error('as it was told to'), { stack: '' })
  default:
    setTimeout(() => {}, 60_000)
}
