import { createHash, type Hash } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { errorCode } from '../../lib/error-code.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES } from '../../oci/checkpoints.ts'
import type { LaneCommand, LaneData, LaneReport } from './messages.ts'

// The program of a writer thread: it hashes and writes what the main thread has put into the shared memory. The thread
// uses synchronous calls on purpose: it has nothing else to do, and a write into the page cache takes less time than a trip
// through the thread pool. Nothing in the thread may rely on timers or callbacks: while messages keep coming, Node runs neither.

interface ThreadFile {
  /** Undefined when bytes are only hashed. */
  fd: number | undefined
  readonly hash: Hash
  position: number
  hashedBytes: number
  /** Checkpoints that were not reported yet. */
  checkpoints: string
  hasFailed: boolean
}

const port = parentPort
if (port === null) throw new Error('this file is the program of a lane')
const { memory } = workerData as LaneData
const files = new Map<number, ThreadFile>()
let readBuffer = Buffer.alloc(0)

port.on('message', (command: LaneCommand) => {
  const { file: number } = command
  if (command.do === 'open') {
    const hash = createHash(command.algorithm)
    files.set(number, {
      fd: command.fd,
      hash,
      position: 0,
      hashedBytes: 0,
      checkpoints: '',
      hasFailed: false,
    })
    return
  }
  if (command.do === 'end') {
    files.delete(number)
    report({ is: 'ended', file: number })
    return
  }
  const file = files.get(number)
  if (file === undefined || file.hasFailed) return
  try {
    if (command.do === 'digest') {
      report({ is: 'digest', file: number, hex: file.hash.copy().digest('hex') })
      return
    }
    if (command.do === 'hashOnly') {
      if (file.fd !== undefined)
        report({ is: 'full', file: number, position: file.position, error: undefined })
      file.fd = undefined
      return
    }
    if (command.do === 'write') append(number, file, new Uint8Array(memory, command.offset, command.length))
    else hashFromFile(file, command.length)
    const { position, checkpoints } = file
    report({ is: 'written', file: number, position, checkpoints })
    file.checkpoints = ''
  } catch (error) {
    file.hasFailed = true
    report({ is: 'failed', file: number, ...describeError(error) })
  }
})

function describeError(error: unknown): { code: string | undefined; message: string } {
  const message = error instanceof Error ? error.message : String(error)
  const code = errorCode(error)
  return { code, message }
}

function report(message: LaneReport): void {
  port?.postMessage(message)
}

/** Hashes up to each checkpoint separately: the checkpoint is the start of the digest at that point. */
function hash(file: ThreadFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const toCheckpoint = CHECKPOINT_INTERVAL_BYTES - (file.hashedBytes % CHECKPOINT_INTERVAL_BYTES)
    const piece = bytes.subarray(at, at + toCheckpoint)
    file.hash.update(piece)
    file.hashedBytes += piece.length
    at += piece.length
    if (piece.length < toCheckpoint) return
    file.checkpoints += file.hash.copy().digest('binary').slice(0, CHECKPOINT_BYTES)
  }
}

/** Hashes before it writes: readers need the digest also of what the file cannot take. */
function append(number: number, file: ThreadFile, bytes: Uint8Array): void {
  hash(file, bytes)
  let done = 0
  try {
    while (file.fd !== undefined && done < bytes.length) {
      done += writeSync(file.fd, bytes, done, bytes.length - done, file.position + done)
    }
  } catch (error) {
    file.fd = undefined
    report({ is: 'full', file: number, position: file.position + done, error: describeError(error) })
  }
  file.position += bytes.length
}

function hashFromFile(file: ThreadFile, length: number): void {
  if (readBuffer.length < length) readBuffer = Buffer.allocUnsafeSlow(length)
  for (let left = length; left > 0; ) {
    const count = file.fd === undefined ? 0 : readSync(file.fd, readBuffer, 0, left, file.position)
    if (count === 0) throw new Error('the file is shorter than it was')
    hash(file, readBuffer.subarray(0, count))
    file.position += count
    left -= count
  }
}
