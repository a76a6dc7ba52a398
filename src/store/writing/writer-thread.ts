import { createHash, type Hash } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { errorCode } from '../../lib/error-code.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES } from '../../oci/checkpoints.ts'
import type { Command, Report, WriterData } from './writer-messages.ts'

// Hashes and writes what the main thread has put into the shared memory. Synchronous on purpose: the thread has nothing
// else to do, and a write into the page cache is done sooner than a trip through the thread pool. Nothing here may rely on
// timers or callbacks of its own: while messages keep coming, Node does not get to them.

interface OpenFile {
  /** undefined: only hashed from here on. */
  fd: number | undefined
  readonly hash: Hash
  position: number
  /** Bytes hashed. */
  hashed: number
  /** Not told yet. */
  marks: string
  failed: boolean
}

const port = parentPort
if (port === null) throw new Error('this file is the program of a writer thread')
const { memory } = workerData as WriterData
const files = new Map<number, OpenFile>()
let readBuffer = Buffer.alloc(0)

port.on('message', (command: Command) => {
  const { file: number } = command
  if (command.do === 'open') {
    const hash = createHash(command.algorithm)
    files.set(number, { fd: command.fd, hash, position: 0, hashed: 0, marks: '', failed: false })
    return
  }
  if (command.do === 'end') {
    files.delete(number)
    report({ is: 'ended', file: number })
    return
  }
  const file = files.get(number)
  if (file === undefined || file.failed) return
  try {
    if (command.do === 'digest') {
      report({ is: 'digest', file: number, hex: file.hash.copy().digest('hex') })
      return
    }
    if (command.do === 'pass') {
      if (file.fd !== undefined)
        report({ is: 'full', file: number, position: file.position, error: undefined })
      file.fd = undefined
      return
    }
    if (command.do === 'write') append(number, file, new Uint8Array(memory, command.offset, command.length))
    else catchUp(file, command.length)
    const { position, marks } = file
    report({ is: 'written', file: number, position, marks })
    file.marks = ''
  } catch (error) {
    file.failed = true
    report({ is: 'failed', file: number, ...told(error) })
  }
})

function told(error: unknown): { code: string | undefined; message: string } {
  const message = error instanceof Error ? error.message : String(error)
  const code = errorCode(error)
  return { code, message }
}

function report(message: Report): void {
  port?.postMessage(message)
}

/** Up to each mark by itself: what the hash is there is the mark. */
function hash(file: OpenFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const toMark = CHECKPOINT_INTERVAL_BYTES - (file.hashed % CHECKPOINT_INTERVAL_BYTES)
    const piece = bytes.subarray(at, at + toMark)
    file.hash.update(piece)
    file.hashed += piece.length
    at += piece.length
    if (piece.length < toMark) return
    file.marks += file.hash.copy().digest('binary').slice(0, CHECKPOINT_BYTES)
  }
}

/** Hashed first, and once: a file that cannot take it is no reason not to know what it was. */
function append(number: number, file: OpenFile, bytes: Uint8Array): void {
  hash(file, bytes)
  let done = 0
  try {
    while (file.fd !== undefined && done < bytes.length) {
      done += writeSync(file.fd, bytes, done, bytes.length - done, file.position + done)
    }
  } catch (error) {
    file.fd = undefined
    report({ is: 'full', file: number, position: file.position + done, error: told(error) })
  }
  file.position += bytes.length
}

function catchUp(file: OpenFile, length: number): void {
  if (readBuffer.length < length) readBuffer = Buffer.allocUnsafeSlow(length)
  for (let left = length; left > 0; ) {
    const count = file.fd === undefined ? 0 : readSync(file.fd, readBuffer, 0, left, file.position)
    if (count === 0) throw new Error('the file is shorter than it was')
    hash(file, readBuffer.subarray(0, count))
    file.position += count
    left -= count
  }
}
