import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

/** As much of a store as it takes to keep it in order. */
export interface Kept {
  readonly blobs: { facts(digest: Digest): Promise<{ readonly size: number } | undefined> }
  readonly catalog: {
    tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined>
    forgetTag(repository: Repository, tag: string): Promise<void>
  }
  usage(): { readonly bytes: number; readonly blobs: number }
  list(): AsyncIterable<{ readonly digest: Digest; readonly kind: 'manifest' | 'blob' }>
  tags(): AsyncIterable<{ readonly repository: Repository; readonly tag: string; readonly digest: Digest }>
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  references(manifest: Digest): Promise<readonly Digest[]>
  /** Evicts what was not used for longest, down to `toBytes`, or else to the low-water mark. */
  gc(options: {
    readonly toBytes?: number
    readonly signal: AbortSignal
  }): Promise<{ readonly blobs: number; readonly bytes: number }>
  pin(digest: Digest): Promise<unknown>
  unpin(digest: Digest): Promise<unknown>
  pins(): AsyncIterable<{ readonly digest: Digest }>
  isPinned(digest: Digest): Promise<boolean>
  /** The pins because of which it is kept: itself, manifests that need it. */
  pinsOf(digest: Digest): Promise<readonly Digest[]>
  /** False: it is not here, or a pin keeps it. */
  remove(digest: Digest): Promise<boolean>
  verify(options: {
    readonly signal: AbortSignal
    readonly bytesPerSecond?: number | undefined
    readonly onProgress?: (bytes: number) => void
  }): AsyncIterable<{
    readonly digest: Digest
    readonly size: number
    readonly ok: boolean
    readonly found: string | undefined
  }>
}
