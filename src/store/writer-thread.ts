import { createHash, type Hash } from 'node:crypto'
import { fdatasync, readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { Command, Report, WriterData } from './writer-messages.ts'

// Hashes and writes what the main thread has put into the shared memory. Synchronous on purpose: the thread has nothing
// else to do, and a write into the page cache is done sooner than a trip through the thread pool.

/** How much is read and hashed of an earlier attempt before others get their turn. */
const REHASH_BYTES = 4 * 1024 * 1024
/** After so much the disk is told to begin, so that the sync at the end of a large blob finds little left to do. */
const SYNC_EVERY = 32 * 1024 * 1024

interface OpenFile {
  readonly fd: number
  readonly hash: Hash
  position: number
  /** Bytes of an earlier attempt that are still to be hashed; commands wait for them. */
  rehash: number
  readonly waiting: Command[]
  unsynced: number
  syncing: boolean
  /** Told after the last sync, when it was asked for while one was under way. */
  ending: boolean
  failed: boolean
}

const port = parentPort
if (port === null) throw new Error('this file is the program of a writer thread')
const { memory } = workerData as WriterData
const files = new Map<number, OpenFile>()
let rehashBuffer: Buffer | undefined

port.on('message', receive)

function report(message: Report): void {
  port?.postMessage(message)
}

function receive(command: Command): void {
  if (command.do === 'open') {
    files.set(command.file, {
      fd: command.fd,
      hash: createHash(command.algorithm),
      position: 0,
      rehash: command.from,
      waiting: [],
      unsynced: 0,
      syncing: false,
      ending: false,
      failed: false,
    })
    if (command.from > 0) setImmediate(rehashSome, command.file)
    return
  }
  const file = files.get(command.file)
  if (file === undefined) return
  if (file.rehash > 0 && command.do !== 'end') file.waiting.push(command)
  else obey(command, file)
}

function obey(command: Exclude<Command, { do: 'open' }>, file: OpenFile): void {
  if (command.do === 'end') {
    file.failed = true
    file.waiting.length = 0
    file.ending = true
    endIfIdle(command.file, file)
  } else if (!file.failed) {
    try {
      if (command.do === 'write') write(command.file, file, command.offset, command.length)
      else report({ is: 'digest', file: command.file, hex: file.hash.copy().digest('hex') })
    } catch (error) {
      fail(command.file, file, error)
    }
  }
}

function write(number: number, file: OpenFile, offset: number, length: number): void {
  const bytes = new Uint8Array(memory, offset, length)
  file.hash.update(bytes)
  for (let done = 0; done < length; ) {
    done += writeSync(file.fd, bytes, done, length - done, file.position + done)
  }
  file.position += length
  file.unsynced += length
  report({ is: 'written', file: number, position: file.position })
  if (file.unsynced >= SYNC_EVERY && !file.syncing) syncEarly(number, file)
}

function syncEarly(number: number, file: OpenFile): void {
  file.unsynced = 0
  file.syncing = true
  fdatasync(file.fd, (error) => {
    file.syncing = false
    // A failed sync may not be told of again by the next one: what was written is not to be trusted any more.
    if (error !== null && !file.failed) fail(number, file, error)
    endIfIdle(number, file)
  })
}

function endIfIdle(number: number, file: OpenFile): void {
  if (!file.ending || file.syncing) return
  files.delete(number)
  report({ is: 'ended', file: number })
}

function rehashSome(number: number): void {
  const file = files.get(number)
  if (file === undefined || file.failed) return
  rehashBuffer ??= Buffer.allocUnsafeSlow(REHASH_BYTES)
  try {
    const length = Math.min(rehashBuffer.length, file.rehash)
    const count = readSync(file.fd, rehashBuffer, 0, length, file.position)
    if (count === 0) throw new Error('the file is shorter than it was')
    file.hash.update(rehashBuffer.subarray(0, count))
    file.position += count
    file.rehash -= count
    report({ is: 'written', file: number, position: file.position })
  } catch (error) {
    fail(number, file, error)
    return
  }
  if (file.rehash > 0) {
    setImmediate(rehashSome, number)
    return
  }
  for (const command of file.waiting.splice(0)) if (command.do !== 'open') obey(command, file)
}

function fail(number: number, file: OpenFile, error: unknown): void {
  file.failed = true
  file.rehash = 0
  file.waiting.length = 0
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  report({ is: 'failed', file: number, code, message })
}
