import { Worker } from 'node:worker_threads'
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts'
import { Failure } from '../resolve/failure.ts'
import type { SharedMemory } from './shared-memory.ts'
import type { Command, Report, WriterData } from './writer-messages.ts'

/** A writer thread needs a hash, a file and a few messages; Node's own defaults would let it keep tens of MiB. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** How much of an earlier attempt is hashed before other files get their turn. */
const CATCH_UP_BYTES = 4 * 1024 * 1024

/** Told how the writing of one file goes. */
export interface WriterListener {
  /** So much from the start of the file is hashed and written. */
  written(position: number): void
  /** Once; nothing more is written. */
  failed(failure: Failure): void
}

/** A file as a writer thread has it: its hash goes along with its bytes. */
export interface WrittenFile {
  /** Appends a piece of the shared memory, which stays untouched until `written` tells that it is done. */
  write(offset: number, length: number): void
  /** Of everything appended so far. */
  digest(): Promise<Digest>
  /** Resolves when the thread has let go of the file: only then it may be closed. */
  end(): Promise<void>
}

/** The threads that hash and write, started when first needed and again after one has died. */
export class Writers {
  readonly #memory: SharedMemory
  readonly #threads: (Thread | undefined)[]

  constructor(memory: SharedMemory, threads: number) {
    this.#memory = memory
    this.#threads = new Array<Thread | undefined>(Math.max(1, threads)).fill(undefined)
  }

  /** Hashes the `from` bytes that `fd` has already, then what is written. `fd` is open for reading and writing. */
  open(fd: number, wanted: Digest, from: number, listener: WriterListener): WrittenFile {
    return this.#idlest().open(fd, wanted, from, listener)
  }

  /** Starts a thread if there is none: it takes tens of milliseconds, in which upstream can be asked. */
  prepare(): void {
    if (this.#threads.every((thread) => thread === undefined)) this.#idlest()
  }

  /** All files have been ended before. */
  async stop(): Promise<void> {
    const threads = this.#threads.splice(0)
    await Promise.all(threads.map((thread) => thread?.stop()))
  }

  #idlest(): Thread {
    let best = 0
    for (let at = 0; at < this.#threads.length; at++) {
      const load = this.#threads[at]?.load ?? 0
      if (load < (this.#threads[best]?.load ?? 0)) best = at
    }
    const found = this.#threads[best]
    if (found !== undefined) return found
    const started = new Thread(this.#memory.buffer, () => {
      if (this.#threads[best] === started) this.#threads[best] = undefined
    })
    this.#threads[best] = started
    return started
  }
}

class Thread {
  readonly #worker: Worker
  readonly #files = new Map<number, ThreadFile>()
  #next = 1

  constructor(memory: SharedArrayBuffer, onGone: () => void) {
    const workerData: WriterData = { memory }
    this.#worker = new Worker(new URL('./writer-thread.js', import.meta.url), {
      workerData,
      resourceLimits: LIMITS,
      name: 'leat writer',
    })
    this.#worker.on('message', (report: Report) => this.#files.get(report.file)?.receive(report))
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#worker.on('exit', () => {
      onGone()
      for (const file of [...this.#files.values()]) {
        file.lost(new Failure('disk', 'a writer thread has died', { cause }))
      }
      this.#files.clear()
    })
    this.#rest()
  }

  get load(): number {
    return this.#files.size
  }

  open(fd: number, wanted: Digest, from: number, listener: WriterListener): WrittenFile {
    const number = this.#next++
    const post = (command: Command): void => this.#worker.postMessage(command)
    post({ do: 'open', file: number, fd, algorithm: algorithmOf(wanted) })
    const file = new ThreadFile(number, wanted, from, post, listener, () => {
      this.#files.delete(number)
      this.#rest()
    })
    this.#files.set(number, file)
    this.#worker.ref()
    return file
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  /** An idle thread does not keep the program running. */
  #rest(): void {
    if (this.#files.size === 0) this.#worker.unref()
  }
}

class ThreadFile implements WrittenFile {
  readonly #number: number
  readonly #wanted: Digest
  readonly #post: (command: Command) => void
  readonly #listener: WriterListener
  readonly #onEnded: () => void
  /** Asked and not answered yet, in the order of asking. */
  readonly #digests: { resolve: (digest: Digest) => void; reject: (failure: Failure) => void }[] = []
  /** Bytes of an earlier attempt that are not hashed yet, and what is to be done once they are. */
  #behind: number
  #catchingUp = 0
  readonly #held: Command[] = []
  #failure: Failure | undefined
  #ended: Promise<void> | undefined
  #resolveEnded: (() => void) | undefined
  #gone = false

  constructor(
    number: number,
    wanted: Digest,
    from: number,
    post: (command: Command) => void,
    listener: WriterListener,
    onEnded: () => void,
  ) {
    this.#number = number
    this.#wanted = wanted
    this.#behind = from
    this.#post = post
    this.#listener = listener
    this.#onEnded = onEnded
    this.#catchUp()
  }

  write(offset: number, length: number): void {
    this.#say({ do: 'write', file: this.#number, offset, length })
  }

  digest(): Promise<Digest> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#digests.push({ resolve, reject })
      this.#say({ do: 'digest', file: this.#number })
    })
  }

  end(): Promise<void> {
    this.#ended ??= new Promise((resolve) => {
      if (this.#gone) {
        resolve()
        return
      }
      this.#resolveEnded = resolve
      this.#post({ do: 'end', file: this.#number })
    })
    return this.#ended
  }

  receive(report: Report): void {
    if (report.is === 'written') {
      if (this.#catchingUp > 0) this.#caughtUp()
      this.#listener.written(report.position)
    } else if (report.is === 'digest') {
      const digest = parseDigest(`${algorithmOf(this.#wanted)}:${report.hex}`)
      if (digest !== undefined) this.#digests.shift()?.resolve(digest)
    } else if (report.is === 'failed') {
      const { code, message } = report
      this.#fail(
        new Failure('disk', `cannot write: ${message}`, {
          cause: Object.assign(new Error(message), { code }),
        }),
      )
    } else this.#end()
  }

  #say(command: Command): void {
    if (this.#failure !== undefined) return
    if (this.#behind > 0) this.#held.push(command)
    else this.#post(command)
  }

  #catchUp(): void {
    this.#catchingUp = Math.min(this.#behind, CATCH_UP_BYTES)
    if (this.#catchingUp > 0) this.#post({ do: 'hash', file: this.#number, length: this.#catchingUp })
  }

  #caughtUp(): void {
    this.#behind -= this.#catchingUp
    this.#catchUp()
    if (this.#behind === 0) for (const command of this.#held.splice(0)) this.#post(command)
  }

  /** The thread is no more. */
  lost(failure: Failure): void {
    this.#fail(failure)
    this.#end()
  }

  #fail(failure: Failure): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    for (const { reject } of this.#digests.splice(0)) reject(failure)
    this.#listener.failed(failure)
  }

  #end(): void {
    this.#gone = true
    const ended = new Failure('disk', 'the file was ended')
    for (const { reject } of this.#digests.splice(0)) reject(ended)
    this.#onEnded()
    this.#resolveEnded?.()
  }
}
