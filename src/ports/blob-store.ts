import type { Checkpoints } from '../oci/checkpoints.ts'
import type { Digest } from '../oci/digest.ts'
import type { Content } from './content.ts'
import type { Failure } from './failure.ts'
import type { Want } from './source.ts'

/** The origin of content whose entry was lost in a crash: a file that the start has found, and hashed. */
export const RECOVERED = 'found on disk'

/** What the store knows about a stored blob besides its bytes. */
export interface BlobFacts {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly mediaType: string | undefined
  /** Milliseconds since the epoch, as `lastUsedAt`. */
  readonly storedAt: number
  readonly lastUsedAt: number
  /** The source that brought the blob, e.g. `upstream registry-1.docker.io`. */
  readonly origin: string
}

/** The content-addressed files of this node. Every blob was verified when it was stored. */
export interface BlobStore {
  /** Opens a stored blob for reading and marks it as used; undefined when it is not stored. */
  open(digest: Digest): Promise<Content | undefined>
  /** Describes a stored blob without opening it or marking it as used. */
  facts(digest: Digest): Promise<BlobFacts | undefined>
  /** Gives the checkpoints of a stored blob; undefined when it is not stored, has at most 64 KiB, or was stored without them. */
  checkpoints(digest: Digest): Promise<Uint8Array | undefined>
  /** Marks a blob as used, for a caller that has served it from memory. Does nothing when it is not stored. */
  touch(digest: Digest): void
  /** Lists at most `most` stored manifests that reference `digest`, which need not be stored itself. */
  referencingManifests(digest: Digest, most: number): Promise<readonly Digest[]>
  /**
   * Prepares the store to take a content. Continues with the bytes that an earlier attempt has left, also before a
   * restart of the agent. A digest has at most one `Incoming` at a time.
   */
  begin(want: Want): Promise<Incoming>
}

/**
 * A content on its way into the store. Bytes are hashed and written in the order in which they are taken. When the disk
 * has no room for it, the content becomes *pass-through*: it is only hashed from then on, and readers get what is not in
 * the file from a window in memory. The window takes more bytes only after `discardBefore`, so the readers set the pace.
 */
export interface Incoming {
  /** How many bytes were taken. They are in memory or in the file. */
  readonly position: number
  /**
   * How many bytes were hashed, and written unless the content is pass-through. Readers may read the bytes from
   * `readableFrom` up to this position. It is never more than `position`.
   */
  readonly written: number
  /** The checkpoints of what is `written`. A content that never had more than 64 KiB may have none. */
  readonly checkpoints: Checkpoints
  /** The first byte that can be read: 0 until `discardBefore` has freed memory. */
  readonly readableFrom: number
  /** Whether the content can still be stored. False: it is pass-through, and stays so until `restart`. */
  readonly isStorable: boolean
  /** Why the content is pass-through. */
  readonly passThroughReason: Failure | undefined
  /**
   * Reserves disk space for `size` bytes; earlier reservations count towards it. `total` is how large the content may
   * become: nothing is evicted for that yet, but a `total` that could never fit is refused now. Gives false when there is
   * no room, and the content is pass-through. Bytes may be taken meanwhile; they are written once the space is granted.
   * Never rejects.
   */
  reserve(size: number, total?: number): Promise<boolean>
  /** Says that no reader will read before this position any more. Has an effect only on a pass-through content. */
  discardBefore(position: number): void
  /** `buffer`, `nextBuffer`, `filled` and `drained` are those of `Intake`. */
  buffer(): Uint8Array
  nextBuffer?(): Uint8Array | undefined
  filled(length: number): boolean
  drained(): Promise<void>
  /** `listener` is called when `written` has grown or `isStorable` has changed, and once with an error if writing has failed. */
  onProgress(listener: (failure: Error | undefined) => void): void
  /** Opens a place on the disk for bytes that come ahead of their turn. The caller closes it. */
  openAhead(): Promise<BytesAhead>
  /** Reads bytes between `readableFrom` and `written`. Gives how many it has read. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Waits until all bytes that were taken are hashed. Gives their digest, by the algorithm of the wanted digest. */
  digest(): Promise<Digest>
  /**
   * Makes the content a stored blob: durable, and found by `open` from now on, also after a crash. May be called only
   * after `digest` gave the wanted digest. Gives false when the content is pass-through, or the disk has refused it after
   * all; what was readable before is still readable then.
   */
  commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<boolean>
  /**
   * Takes back the bytes after `position`, a multiple of 64 KiB. `filled` must not be called meanwhile. The bytes before
   * it stay readable all the time. Where that is impossible it acts as `restart`, and `position` is 0 afterwards.
   */
  truncate(position: number): Promise<void>
  /** Begins again with no bytes, because the bytes were wrong. Moves them to the quarantine where that is possible. */
  restart(): Promise<void>
  /**
   * Frees the memory and the file. The bytes of a content that was not committed stay for the next `begin`, unless it is
   * pass-through. The caller always calls it, in a `finally` block.
   */
  close(): Promise<void>
}

/** Bytes ahead are kept in units of 64 KiB. */
export const AHEAD_UNIT_BYTES = 65536

/**
 * Bytes of a content that have come ahead of their turn. They are kept until the bytes before them have come, and are lost when
 * the agent ends.
 */
export interface BytesAhead {
  /** How many more bytes it takes. */
  readonly freeBytes: number
  /** How much of the disk it uses. Room of discarded bytes is used again, but stays until `close`. */
  readonly usedBytes: number
  /** Where the bytes end that are here from `position` on without a gap; `position` if its byte is not here. */
  endFrom(position: number): number
  /**
   * Writes bytes at `position`, a multiple of 64 KiB. Only whole units count, so the end of `bytes` must be the end of a unit or of
   * the content. Rejects with a `Failure` when the disk does not take them.
   */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Reads bytes from `position` on. Gives how many it has read; 0 when they are not here, or no longer. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Forgets the units that end at or before `position`. */
  discardBefore(position: number): void
  close(): Promise<void>
}
