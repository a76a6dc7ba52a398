import type { Digest } from '../oci/digest.ts'
import type { Marks } from '../oci/marks.ts'
import type { Content } from './content.ts'
import type { Failure } from './failure.ts'
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
  /** Those of a stored blob of more than 64 KiB; undefined when it is not here, or nobody has kept them. */
  marks(digest: Digest): Promise<Uint8Array | undefined>
  /** Marks it as used, for whoever has answered with it from memory. Nothing when it is not here. */
  touch(digest: Digest): void
  /** Stored manifests that reference it, whether it is here or not; at most so many of them. */
  neededBy(digest: Digest, most: number): Promise<readonly Digest[]>
  /** Room for a blob on its way in. Goes on from what an earlier attempt, even before a restart, has left. One at a time for a digest. */
  begin(want: Want): Promise<Incoming>
}

/**
 * A blob on its way in: bytes are written and hashed in the order in which they are taken. When there is no room for it
 * it turns *unkept*: it is only hashed from there on, and what is not in the file is a window that moves on as the bytes
 * at its start are forgotten. It is full until they are, so readers set the pace.
 */
export interface Incoming {
  /** Bytes taken: they are in memory or in the file. */
  readonly position: number
  /** Bytes hashed, and written as long as it is kept: they may be read, from `start` on. Never more than `position`. */
  readonly written: number
  /** Those of what is `written`. What has never been more than 64 KiB may have none. */
  readonly marks: Marks
  /** The first byte that can be read: 0 until something was forgotten for good. */
  readonly start: number
  /** It will be stored if its digest is right. Once it is false it stays so until `restart`. */
  readonly kept: boolean
  /** Why it is not kept. */
  readonly obstacle: Failure | undefined
  /**
   * Makes room for so much in all; what was reserved before counts. `total`, where that is more, is what it may come to:
   * nothing has to go for it yet, but where there never could be room for it, there is none now. False: it is not kept.
   * Bytes may be taken meanwhile, and are written when it is granted. Never rejects.
   */
  reserve(size: number, total?: number): Promise<boolean>
  /** Nobody will read before this position any more. Matters only while it is not kept. */
  forget(position: number): void
  /** As `Intake`. */
  buffer(): Uint8Array
  filled(length: number): boolean
  drained(): Promise<void>
  /** `listener` is called whenever `written` has grown or `kept` has changed, and once with a `Failure` if writing has failed. */
  onProgress(listener: (failure: Error | undefined) => void): void
  /** Reads what has been written and not forgotten. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Waits until all that was taken is hashed; the digest of all of it, by the algorithm of the digest wanted. */
  digest(): Promise<Digest>
  /**
   * Makes it a stored blob: durable, found by `open` from now on, also after a crash. Only after `digest` was right.
   * False: it is not kept, or could not be after all; what could be read before can still be read.
   */
  commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<boolean>
  /**
   * Takes back what came after `position`, a multiple of 64 KiB; nobody fills meanwhile. What is before it can be read
   * all the time. Where that cannot be done it is a `restart`, and `position` is 0 then.
   */
  cutTo(position: number): Promise<void>
  /** The bytes were wrong: keeps them aside for inspection where that is possible and starts from nothing. */
  restart(): Promise<void>
  /** Frees memory and the file. What is not committed stays as the start of a later attempt, if it was kept. Always called, in `finally`. */
  close(): Promise<void>
}
