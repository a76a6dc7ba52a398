import { Deferred } from '../../lib/async/deferred.ts'
import type { BodySink } from '../../lib/http1/body-transfer.ts'

/** So many bytes are worth a message at once. */
const REPORT_BYTES = 512 * 1024
/** Fewer bytes are reported no more often than this, which readers do not notice. */
const REPORT_MS = 20

/**
 * The memory that the main thread has lent for one body. The thread fills the pieces in order, each to its end, and reports how
 * many bytes it has filled: the first ones at once, then when they are many or some time has passed, and whenever no memory
 * is left.
 */
export class LentMemory implements BodySink {
  readonly #pieces: Uint8Array[]
  readonly #report: (length: number) => void
  #unreported = 0
  #reportedAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #lent: Deferred<void> | undefined

  constructor(pieces: readonly Uint8Array[], report: (length: number) => void) {
    this.#pieces = [...pieces]
    this.#report = report
  }

  lend(pieces: readonly Uint8Array[]): void {
    this.#pieces.push(...pieces)
    this.#lent?.resolve()
    this.#lent = undefined
  }

  buffer(): Uint8Array {
    const [first] = this.#pieces
    if (first === undefined) throw new Error('no memory was lent for the body')
    return first
  }

  filled(length: number): boolean {
    const rest = this.buffer().subarray(length)
    if (rest.length > 0) this.#pieces[0] = rest
    else this.#pieces.shift()
    this.#unreported += length
    const isFull = this.#pieces.length === 0
    if (isFull || this.#unreported >= REPORT_BYTES) this.flush()
    else this.#flushSoon()
    return !isFull
  }

  drained(): Promise<void> {
    if (this.#pieces.length > 0) return Promise.resolve()
    this.#lent ??= new Deferred()
    return this.#lent.promise
  }

  /** Reports what was filled and not reported yet. */
  flush(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#timer = undefined
    this.#immediate = undefined
    if (this.#unreported === 0) return
    this.#reportedAt = performance.now()
    const length = this.#unreported
    this.#unreported = 0
    this.#report(length)
  }

  /** Bytes that have gathered in the kernel come in one turn of the event loop: all of them are worth one report. */
  #flushSoon(): void {
    if (this.#timer !== undefined || this.#immediate !== undefined) return
    const waitMs = this.#reportedAt + REPORT_MS - performance.now()
    if (waitMs > 0) this.#timer = setTimeout(() => this.flush(), waitMs)
    else this.#immediate = setImmediate(() => this.flush())
  }
}
