import type { Digest } from '../../oci/digest.ts'
import type { Content } from '../../ports/content.ts'
import { diskFailure } from './layout.ts'
import type { OpenFile } from './open-file.ts'

/** An open stored blob. The store may remove its file meanwhile: the content stays readable until it is closed. */
export class StoredContent implements Content {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly #file: OpenFile
  readonly #onClosed: () => void

  constructor(
    facts: { readonly digest: Digest; readonly size: number; readonly mediaType: string | undefined },
    file: OpenFile,
    onClosed: () => void,
  ) {
    this.digest = facts.digest
    this.size = facts.size
    this.mediaType = facts.mediaType
    this.#file = file
    this.#onClosed = onClosed
  }

  readable(): number {
    return this.size
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    try {
      return await this.#file.read(target, position)
    } catch (cause) {
      throw diskFailure(`cannot read ${this.digest}`, cause)
    }
  }

  async close(): Promise<void> {
    try {
      await this.#file.close()
    } finally {
      this.#onClosed()
    }
  }
}
