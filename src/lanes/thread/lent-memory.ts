import { Deferred } from '../../lib/async/deferred.ts'
import type { BodySink } from '../../lib/http1/body-transfer.ts'

/** So many bytes are worth a message at once. */
const REPORT_BYTES = 512 * 1024
/** Fewer bytes are reported after this time, which readers do not notice. */
const REPORT_MS = 4

/**
 * The memory that the main thread has lent for one body. The thread fills the pieces in order, each to its end, and reports how
 * many bytes it has filled: the first ones at once, then as soon as they are many, and whenever no memory is left.
 */
export class LentMemory implements BodySink {
  readonly #pieces: Uint8Array[]
  readonly #report: (length: number) => void
  #unreported = 0
  #hasReported = false
  #timer: NodeJS.Timeout | undefined
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
    if (isFull || !this.#hasReported || this.#unreported >= REPORT_BYTES) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), REPORT_MS)
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
    this.#timer = undefined
    if (this.#unreported === 0) return
    this.#hasReported = true
    const length = this.#unreported
    this.#unreported = 0
    this.#report(length)
  }
}
