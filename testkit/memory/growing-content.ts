import type { Digest } from '../../src/oci/digest.ts'
import type { Content } from '../../src/ports/content.ts'
import type { Failure } from '../../src/ports/failure.ts'
import { digestOf } from './digests.ts'

/** A content of which as many bytes are readable as the test says. */
export class GrowingContent implements Content {
  readonly digest: Digest
  readonly mediaType = undefined
  readonly size: number
  readonly #bytes: Uint8Array
  readonly #waiting = new Set<() => void>()
  #readableBytes: number
  #failure: Failure | undefined
  isClosed = false

  constructor(bytes: Uint8Array, readableBytes = bytes.length) {
    this.digest = digestOf(bytes)
    this.#bytes = bytes
    this.size = bytes.length
    this.#readableBytes = readableBytes
  }

  grow(to: number): void {
    this.#readableBytes = to
    this.#wake()
  }

  fail(failure: Failure): void {
    this.#failure = failure
    this.#wake()
  }

  async readable(offset: number, { signal }: { signal: AbortSignal }): Promise<number> {
    for (;;) {
      if (this.#readableBytes > offset || this.#readableBytes === this.size) return this.#readableBytes
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add(resolve)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const part = this.#bytes.subarray(position, Math.min(this.#readableBytes, position + target.length))
    target.set(part)
    return part.length
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
