import type { Failure } from '../../src/ports/failure.ts'

/** A blob whose bytes come when a test says so. */
export class GrowingBlob {
  readonly bytes: Buffer
  #available = 0
  #failure: Failure | undefined
  readonly #waiting = new Set<() => void>()

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  growTo(length: number): void {
    this.#available = length
    this.#wake()
  }

  fail(failure: Failure): void {
    this.#failure = failure
    this.#wake()
  }

  readable(offset: number, signal: AbortSignal): number | Promise<number> {
    if (this.#available > offset || this.#available === this.bytes.length) return this.#available
    return this.#wait(offset, signal)
  }

  async #wait(offset: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#available > offset) return this.#available
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake)
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
