import { Deferred } from '../lib/async/deferred.ts'
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts'
import { Failure } from '../ports/failure.ts'
import type { FileCommand, FileReport } from './thread/messages.ts'

/** How much of a partial is hashed by one command: between two commands the thread serves its other files. */
const CATCH_UP_BYTES = 4 * 1024 * 1024

/** Hears how the writing of one file progresses. */
export interface LaneFileListener {
  /** All up to `position` is hashed, and in the file as far as it is not full. `checkpoints`: those since the last call. */
  written(position: number, checkpoints: Uint8Array | undefined): void
  /**
   * Called at most once, before the next `written`: the file has `position` bytes and gets no more, because of `failure`,
   * or because of `hashOnly`.
   */
  full?(position: number, failure: Failure | undefined): void
  /** Called at most once; nothing is hashed or written after that. */
  failed(failure: Failure): void
  /** Called in place of `failed` when the lane has died: another lane may do the work. */
  died?(failure: Failure): void
}

/** The main thread's side of one file that a lane hashes and writes. `LanePool.open` makes it. */
export class LaneFile {
  readonly #number: number
  readonly #wanted: Digest
  readonly #post: (command: FileCommand) => void
  readonly #listener: LaneFileListener
  readonly #onEnded: () => void
  /** Requests for a digest that the thread has not answered, in the order in which they were sent. */
  readonly #digests: Deferred<Digest>[] = []
  /** Bytes of the partial that the thread has not hashed yet. */
  #unhashedBytes: number
  #catchUpBytes = 0
  /** Commands that wait until all of the partial is hashed. */
  readonly #waiting: FileCommand[] = []
  #failure: Failure | undefined
  #ended: Promise<void> | undefined
  #resolveEnded: (() => void) | undefined
  #isReleased = false

  constructor(
    number: number,
    wanted: Digest,
    from: number,
    post: (command: FileCommand) => void,
    listener: LaneFileListener,
    onEnded: () => void,
  ) {
    this.#number = number
    this.#wanted = wanted
    this.#unhashedBytes = from
    this.#post = post
    this.#listener = listener
    this.#onEnded = onEnded
    this.#catchUp()
  }

  /** Appends a piece of the shared memory, which must stay untouched until `written` is called for it. */
  write(offset: number, length: number): void {
    this.#send({ do: 'write', file: this.#number, offset, length })
  }

  /** Bytes that are appended from now on are only hashed. */
  hashOnly(): void {
    this.#send({ do: 'hashOnly', file: this.#number })
  }

  /** Gives the digest of everything appended so far. */
  digest(): Promise<Digest> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const digest = new Deferred<Digest>()
    this.#digests.push(digest)
    this.#send({ do: 'digest', file: this.#number })
    return digest.promise
  }

  /** Resolves when the thread no longer touches the file: only then may it be closed. */
  end(): Promise<void> {
    this.#ended ??= new Promise((resolve) => {
      if (this.#isReleased) {
        resolve()
        return
      }
      this.#resolveEnded = resolve
      this.#post({ do: 'end', file: this.#number })
    })
    return this.#ended
  }

  receive(report: FileReport): void {
    if (report.is === 'written') {
      if (this.#catchUpBytes > 0) this.#onCaughtUp()
      const { position, checkpoints } = report
      this.#listener.written(position, checkpoints === '' ? undefined : Buffer.from(checkpoints, 'latin1'))
    } else if (report.is === 'digest') {
      const digest = parseDigest(`${algorithmOf(this.#wanted)}:${report.hex}`)
      if (digest !== undefined) this.#digests.shift()?.resolve(digest)
    } else if (report.is === 'full') {
      const { position, error } = report
      this.#listener.full?.(position, error === undefined ? undefined : cannotWrite(error))
    } else if (report.is === 'failed') this.#fail(cannotWrite(report))
    else this.#onReleased()
  }

  threadDied(failure: Failure): void {
    this.#fail(failure, (listener) => (listener.died ?? listener.failed)(failure))
    this.#onReleased()
  }

  #send(command: FileCommand): void {
    if (this.#failure !== undefined) return
    if (this.#unhashedBytes > 0) this.#waiting.push(command)
    else this.#post(command)
  }

  #catchUp(): void {
    this.#catchUpBytes = Math.min(this.#unhashedBytes, CATCH_UP_BYTES)
    if (this.#catchUpBytes > 0) this.#post({ do: 'hash', file: this.#number, length: this.#catchUpBytes })
  }

  #onCaughtUp(): void {
    this.#unhashedBytes -= this.#catchUpBytes
    this.#catchUp()
    if (this.#unhashedBytes === 0) for (const command of this.#waiting.splice(0)) this.#post(command)
  }

  #fail(failure: Failure, tell = (listener: LaneFileListener): void => listener.failed(failure)): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    for (const { reject } of this.#digests.splice(0)) reject(failure)
    tell(this.#listener)
  }

  #onReleased(): void {
    this.#isReleased = true
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
