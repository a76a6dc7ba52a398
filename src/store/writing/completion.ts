import { rm } from 'node:fs/promises'
import { publish } from '../../observe/events.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../oci/checkpoints.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import type { LinkToMake } from '../../ports/hosted/hosted-catalog.ts'
import { diskFailure } from '../files/layout.ts'
import { isWhole } from './is-whole.ts'
import type { IncomingContext, ReceivedBytes } from './received-bytes.ts'

/** What the index gets to know of a content besides what was wanted. */
export type ContentFacts = Parameters<Incoming['commit']>[0]

/** For an upload: the link that is made at the same time, and the digest, where it is of another algorithm. */
export interface CommitFacts extends ContentFacts {
  readonly link?: LinkToMake
  readonly digest?: Digest
}

/** The last steps of one incoming: its digest is verified, then its file and its entry in the index are published. */
export class Completion {
  readonly #context: IncomingContext
  #hashed: { readonly position: number; readonly digest: Digest } | undefined
  #committing: Promise<boolean> | undefined
  #isCommitted = false

  constructor(context: IncomingContext) {
    this.#context = context
  }

  get isCommitted(): boolean {
    return this.#isCommitted
  }

  /** Gives the digest of all bytes so far, and computes it only when it is not known yet. */
  async digest(bytes: ReceivedBytes): Promise<Digest> {
    const { position } = bytes
    if (this.#hashed?.position === position) return this.#hashed.digest
    const digest = await bytes.digest()
    this.#hashed = { position, digest }
    return digest
  }

  /** Bytes were taken back: the known digest says nothing any more. */
  forgetDigest(): void {
    this.#hashed = undefined
  }

  /** Stores the bytes under their digest; false when they cannot be stored. A second call gets the result of the first. */
  commit(bytes: ReceivedBytes, facts: CommitFacts): Promise<boolean> {
    this.#committing ??= this.#commit(bytes, facts).finally(() => {
      this.#committing = undefined
    })
    return this.#committing
  }

  /** Resolves when no commit is under way. */
  async settled(): Promise<void> {
    await this.#committing?.catch(() => {})
  }

  async #commit(bytes: ReceivedBytes, facts: CommitFacts): Promise<boolean> {
    const { want, reservation, publishAs } = this.#context
    const digest = facts.digest ?? (await this.digest(bytes))
    if (publishAs === undefined && digest !== want.digest) {
      throw new Failure('corrupt', 'only content with the wanted digest is stored', {
        expected: want.digest,
        found: digest,
      })
    }
    await reservation.settled()
    if (!this.#context.isStorable()) return false
    const size = bytes.position
    const endClaim = await publishAs?.(digest)
    try {
      this.#isCommitted = await this.#linkStored(digest, size, facts)
      if (!this.#isCommitted) {
        await bytes.moveToBlobFile(digest)
        await this.#addToIndex(digest, size, facts)
      }
    } catch (cause) {
      this.#context.passThrough(diskFailure(`cannot store ${digest}`, cause))
      return false
    } finally {
      endClaim?.()
    }
    reservation.release()
    publish('store.committed', { digest, size })
    return true
  }

  /** Links a content that is stored already, so that the bytes of the upload are not needed. */
  async #linkStored(digest: Digest, size: number, { link }: CommitFacts): Promise<boolean> {
    if (link === undefined) return false
    const { parts } = this.#context
    // A file that has been damaged is replaced.
    return (await isWhole(digest, size, parts)) && (await parts.index.links.make(digest, link))
  }

  /**
   * Writes the entry of the index; from then on the blob is found. Its file is in place and durable: a crash between the two
   * leaves a file that the next start hashes and adopts.
   */
  async #addToIndex(digest: Digest, size: number, facts: CommitFacts): Promise<void> {
    const { want, parts, checkpoints } = this.#context
    const { kind, repository } = want
    const { mediaType, origin, references, subject, link } = facts
    const hasCheckpoints = size > CHECKPOINT_INTERVAL_BYTES && facts.digest === undefined
    try {
      await parts.index.put(
        { digest, size, kind, mediaType, origin, storedAt: Date.now() },
        {
          references,
          subject,
          // What was pushed is known by its link alone.
          repository: link === undefined ? repository : undefined,
          checkpoints: hasCheckpoints ? checkpoints.since(0) : undefined,
          link,
        },
      )
      this.#isCommitted = true
    } catch (cause) {
      // The disk budget counts only files that the index knows.
      await rm(parts.blobFiles.path(digest), { force: true }).catch(() => {})
      throw cause
    }
  }
}
