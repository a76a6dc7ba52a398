import type { Digest } from '../../src/oci/digest.ts'
import type { BlobFacts } from '../../src/ports/blob-store.ts'
import type { Failure } from '../../src/ports/failure.ts'
import type { Want } from '../../src/ports/source.ts'

export interface StoredBlob {
  readonly bytes: Uint8Array
  readonly facts: Omit<BlobFacts, 'lastUsedAt'>
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  readonly checkpoints: Uint8Array | undefined
}

/** The store in memory as its incomings see it: the disk that they write to. */
export interface MemoryDisk {
  readonly bufferBytes: number
  readonly windowBytes: number
  readonly limitBytes: number
  readonly freeBytes: number
  readonly areWritesPaused: boolean
  readonly diskFailure: Failure | undefined
  readonly takesAhead: boolean
  readonly partials: Map<Digest, Uint8Array>
  readonly quarantined: { readonly digest: Digest; readonly bytes: Uint8Array }[]
  readonly reserved: Map<Digest, number>
  /** Stores a blob that came for this repository. */
  commit(want: Want, blob: StoredBlob): void
  /** Says that the incoming of a digest is closed. */
  end(digest: Digest): void
}
