import { createHash, type Hash } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES } from '../../oci/checkpoints.ts'
import type { FileCommand } from './messages.ts'
import { post, postedError } from './post.ts'

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

/** The files of a lane, as its thread knows them. */
export class ThreadFiles {
  readonly #memory: SharedArrayBuffer
  readonly #files = new Map<number, ThreadFile>()
  #readBuffer = Buffer.alloc(0)

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory
  }

  obey(command: FileCommand): void {
    const { file: number } = command
    if (command.do === 'open') {
      const hash = createHash(command.algorithm)
      const { fd } = command
      this.#files.set(number, { fd, hash, position: 0, hashedBytes: 0, checkpoints: '', hasFailed: false })
    } else if (command.do === 'end') {
      this.#files.delete(number)
      post({ is: 'ended', file: number })
    } else {
      const file = this.#files.get(number)
      if (file !== undefined && !file.hasFailed) this.#work(number, file, command)
    }
  }

  #work(number: number, file: ThreadFile, command: FileCommand): void {
    try {
      if (command.do === 'digest') {
        post({ is: 'digest', file: number, hex: file.hash.copy().digest('hex') })
      } else if (command.do === 'hashOnly') {
        if (file.fd !== undefined)
          post({ is: 'full', file: number, position: file.position, error: undefined })
        file.fd = undefined
      } else if (command.do === 'write') {
        append(number, file, new Uint8Array(this.#memory, command.offset, command.length))
        reportWritten(number, file)
      } else if (command.do === 'hash') {
        this.#hashFromFile(file, command.length)
        reportWritten(number, file)
      }
    } catch (error) {
      file.hasFailed = true
      post({ is: 'failed', file: number, ...postedError(error) })
    }
  }

  #hashFromFile(file: ThreadFile, length: number): void {
    if (this.#readBuffer.length < length) this.#readBuffer = Buffer.allocUnsafeSlow(length)
    for (let left = length; left > 0; ) {
      const count = file.fd === undefined ? 0 : readSync(file.fd, this.#readBuffer, 0, left, file.position)
      if (count === 0) throw new Error('the file is shorter than it was')
      hash(file, this.#readBuffer.subarray(0, count))
      file.position += count
      left -= count
    }
  }
}

function reportWritten(number: number, file: ThreadFile): void {
  const { position, checkpoints } = file
  post({ is: 'written', file: number, position, checkpoints })
  file.checkpoints = ''
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
    post({ is: 'full', file: number, position: file.position + done, error: postedError(error) })
  }
  file.position += bytes.length
}
