import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

/** The part of the store that upkeep uses. */
export interface UpkeepStore {
  readonly blobs: { facts(digest: Digest): Promise<{ readonly size: number } | undefined> }
  readonly catalog: {
    tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined>
    forgetTag(repository: Repository, tag: string): Promise<void>
  }
  readonly hosted: {
    readonly catalog: {
      tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined>
      removeTag(repository: Repository, tag: string): Promise<boolean>
      /** Lists the contents that belong to a hosted repository. */
      links(repository: Repository): AsyncIterable<unknown>
      repositoriesOf(digest: Digest): Promise<readonly Repository[]>
    }
  }
  usage(): { readonly bytes: number; readonly blobs: number }
  list(): AsyncIterable<{ readonly digest: Digest; readonly kind: 'manifest' | 'blob' }>
  tags(): AsyncIterable<{ readonly repository: Repository; readonly tag: string; readonly digest: Digest }>
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  references(manifest: Digest): Promise<readonly Digest[]>
  /** Evicts the least recently used content until `toBytes` are left. Without `toBytes` the low-water mark counts. */
  gc(options: {
    readonly toBytes?: number
    readonly signal: AbortSignal
  }): Promise<{ readonly blobs: number; readonly bytes: number }>
  pin(digest: Digest, name?: string): Promise<unknown>
  unpin(digest: Digest, name?: string): Promise<unknown>
  /** `names`: by which tags the digest is pinned, or by itself. */
  pins(): AsyncIterable<{ readonly digest: Digest; readonly names: readonly string[] }>
  isPinned(digest: Digest): Promise<boolean>
  /** Gives the pins that protect a digest: the digest itself, or manifests that need it. */
  pinsOf(digest: Digest): Promise<readonly Digest[]>
  /** Gives false when the digest is not stored or a pin protects it. */
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
