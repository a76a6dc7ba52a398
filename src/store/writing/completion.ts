import { rm } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import type { Want } from '../../ports/source.ts'
import type { StoreParts } from './store-parts.ts'

/** What the index gets to know of a content besides what was wanted. */
export type ContentFacts = Parameters<Incoming['commit']>[0]

/** The last steps of one incoming: its digest is verified, then its file and its entry in the index are published. */
export class Completion {
  readonly #want: Want
  readonly #parts: StoreParts
  #hashed: { readonly position: number; readonly digest: Digest } | undefined
  #committing: Promise<boolean> | undefined
  #isCommitted = false

  constructor(want: Want, parts: StoreParts) {
    this.#want = want
    this.#parts = parts
  }

  get isCommitted(): boolean {
    return this.#isCommitted
  }

  /** The digest of the first `position` bytes, computed only when it is not known yet. */
  async digest(position: number, compute: () => Promise<Digest>): Promise<Digest> {
    if (this.#hashed?.position === position) return this.#hashed.digest
    const digest = await compute()
    this.#hashed = { position, digest }
    return digest
  }

  /** Bytes were taken back: the known digest says nothing any more. */
  forgetDigest(): void {
    this.#hashed = undefined
  }

  /** Runs one commit at a time: a second call gets the result of the first. */
  commit(run: () => Promise<boolean>): Promise<boolean> {
    this.#committing ??= run().finally(() => {
      this.#committing = undefined
    })
    return this.#committing
  }

  /** Resolves when no commit is under way. */
  async settled(): Promise<void> {
    await this.#committing?.catch(() => {})
  }

  /**
   * Writes the entry of the index; from then on the blob is found. Its file must be in place and durable: a crash between the
   * two leaves a file that the next start hashes and adopts.
   */
  async addToIndex(size: number, checkpoints: Uint8Array | undefined, facts: ContentFacts): Promise<void> {
    const { digest, kind, repository } = this.#want
    const { mediaType, origin, references, subject } = facts
    try {
      await this.#parts.index.put(
        { digest, size, kind, mediaType, origin, storedAt: Date.now() },
        { references, subject, repository, checkpoints: checkpoints },
      )
      this.#isCommitted = true
    } catch (cause) {
      // The disk budget counts only files that the index knows.
      await rm(this.#parts.blobFiles.path(digest), { force: true }).catch(() => {})
      throw cause
    }
  }
}
