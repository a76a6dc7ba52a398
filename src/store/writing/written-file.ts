import { Deferred } from '../../lib/async/deferred.ts'
import { algorithmOf, type Digest, parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Command, Report } from './writer-messages.ts'

/** How much of an earlier attempt is hashed before other files get their turn. */
const CATCH_UP_BYTES = 4 * 1024 * 1024

/** Told how the writing of one file goes. */
export interface WriterListener {
  /** So much from the start is hashed, and in the file as far as it is not full; `marks`: those on the way there. */
  written(position: number, marks: Uint8Array | undefined): void
  /**
   * Once, before the next `written`: so much is in the file, and what comes after is only hashed, because of `failure`
   * or because `pass` said so.
   */
  full?(position: number, failure: Failure | undefined): void
  /** Once; nothing more is written. */
  failed(failure: Failure): void
}

/** A file as a writer thread has it: its hash goes along with its bytes. */
export interface WrittenFile {
  /** Appends a piece of the shared memory, which stays untouched until `written` tells that it is done. */
  write(offset: number, length: number): void
  /** What is appended from now on is only hashed. */
  pass(): void
  /** Of everything appended so far. */
  digest(): Promise<Digest>
  /** Resolves when the thread has let go of the file: only then it may be closed. */
  end(): Promise<void>
}

/** The main thread's side of a file that a writer thread has. */
export class ThreadFile implements WrittenFile {
  readonly #number: number
  readonly #wanted: Digest
  readonly #post: (command: Command) => void
  readonly #listener: WriterListener
  readonly #onEnded: () => void
  /** Asked and not answered yet, in the order of asking. */
  readonly #digests: Deferred<Digest>[] = []
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

  pass(): void {
    this.#say({ do: 'pass', file: this.#number })
  }

  digest(): Promise<Digest> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const digest = new Deferred<Digest>()
    this.#digests.push(digest)
    this.#say({ do: 'digest', file: this.#number })
    return digest.promise
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
      const { position, marks } = report
      this.#listener.written(position, marks === '' ? undefined : Buffer.from(marks, 'latin1'))
    } else if (report.is === 'digest') {
      const digest = parseDigest(`${algorithmOf(this.#wanted)}:${report.hex}`)
      if (digest !== undefined) this.#digests.shift()?.resolve(digest)
    } else if (report.is === 'full') {
      const { position, error } = report
      this.#listener.full?.(position, error === undefined ? undefined : cannotWrite(error))
    } else if (report.is === 'failed') this.#fail(cannotWrite(report))
    else this.#end()
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

function cannotWrite({ code, message }: { code: string | undefined; message: string }): Failure {
  return new Failure('disk', `cannot write: ${message}`, {
    cause: Object.assign(new Error(message), { code }),
  })
}
