import { createHash, type Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { errorCode } from '../error-code.ts'
import type { HashAnswer, HashRequest } from './messages.ts'

// The program of the hash thread: it reads and hashes files, one at a time, outside the thread that serves clients.

const BUFFER_BYTES = 1024 * 1024

const port = parentPort
if (port === null) throw new Error('this file is the program of the hash thread')
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
let hash: Hash | undefined

port.on('message', (piece: HashRequest) => port.postMessage(answer(piece)))

function answer({ fd, algorithm, position, length, isFirst, isLast }: HashRequest): HashAnswer {
  try {
    if (isFirst || hash === undefined) hash = createHash(algorithm)
    for (let done = 0; done < length; ) {
      const count = readSync(fd, buffer, 0, Math.min(length - done, BUFFER_BYTES), position + done)
      if (count === 0) return { is: 'short', size: position + done }
      hash.update(buffer.subarray(0, count))
      done += count
    }
    return isLast ? { is: 'digest', hex: hash.digest('hex') } : { is: 'read' }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const code = errorCode(error)
    return { is: 'failed', code, message }
  }
}
