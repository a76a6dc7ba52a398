import type { Digest } from '../oci/digest.ts'
import type { Content } from './content.ts'
import type { Want } from './source.ts'

/** What is known of a stored blob besides its bytes. */
export interface BlobFacts {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly mediaType: string | undefined
  /** Milliseconds since the epoch. */
  readonly storedAt: number
  readonly lastUsedAt: number
  /** Who brought it, e.g. `upstream registry-1.docker.io`. */
  readonly origin: string
}

/** Content-addressed files of this node. A blob that is found here was verified when it was stored. */
export interface BlobStore {
  /** The blob, opened for reading and marked as used; undefined when it is not here. */
  open(digest: Digest): Promise<Content | undefined>
  /** What is known about it, without opening or marking it. */
  facts(digest: Digest): Promise<BlobFacts | undefined>
  /** Room for a blob on its way in. Goes on from what an earlier attempt, even before a restart, has left. One at a time for a digest. */
  begin(want: Want): Promise<Incoming>
}

/** A blob on its way in: bytes are written and hashed in the order in which they are taken. */
export interface Incoming {
  /** Bytes taken: they are in memory or in the file. */
  readonly position: number
  /** Bytes written and hashed: they may be read. Never more than `position`. */
  readonly written: number
  /** As `Intake`. */
  buffer(): Uint8Array
  filled(length: number): boolean
  drained(): Promise<void>
  /** `listener` is called whenever `written` has grown, and once with a `Failure` if writing has failed. */
  onProgress(listener: (failure: Error | undefined) => void): void
  /** Reads what has been written. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Waits until all that was taken is written; the digest of all of it, by the algorithm of the digest wanted. */
  digest(): Promise<Digest>
  /** Makes it a stored blob: durable, found by `open` from now on, also after a crash. Only after `digest` was right. */
  commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<void>
  /** The bytes were wrong: keeps them aside for inspection where that is possible and starts from nothing. */
  restart(): Promise<void>
  /** Frees memory and the file. What is not committed stays as the start of a later attempt. Always called, in `finally`. */
  close(): Promise<void>
}
