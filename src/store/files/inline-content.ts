import type { Digest } from '../../oci/digest.ts'
import type { Content } from '../../ports/content.ts'

/** An open stored content that was in the index, and is small enough to be in memory. */
export class InlineContent implements Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly #bytes: Uint8Array
  readonly #onClosed: () => void

  constructor(
    facts: { readonly digest: Digest; readonly mediaType: string | undefined },
    bytes: Uint8Array,
    onClosed: () => void,
  ) {
    this.digest = facts.digest
    this.size = bytes.length
    this.mediaType = facts.mediaType
    this.#bytes = bytes
    this.#onClosed = onClosed
  }

  readable(): number {
    return this.size
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = this.#bytes.subarray(position, position + target.length)
    target.set(bytes)
    return bytes.length
  }

  async close(): Promise<void> {
    this.#onClosed()
  }
}
