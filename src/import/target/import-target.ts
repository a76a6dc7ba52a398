import type { Algorithm, Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { ReadBytes, WrittenContent } from '../../sources/docker/content-writer.ts'
import type { FileRange } from '../../sources/files/file-tree.ts'

export interface ContentToStore {
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  /** undefined: the content is stored under the digest of its bytes. */
  readonly digest: Digest | undefined
  readonly algorithm: Algorithm
  /** For an unknown digest an upper bound. */
  readonly size: number
  readonly mediaType: string | undefined
  /** Who brings the content, as reports show it. */
  readonly origin: string
}

export interface FileToMove {
  readonly path: string
  readonly digest: Digest
  readonly repository: Repository
  readonly origin: string
}

/** An image all of whose contents were stored, or were stored before. */
export interface ImageToName {
  readonly repository: Repository
  /** undefined: the image is known by its digest only. */
  readonly tag: string | undefined
  readonly root: Digest
  /** Artifacts that refer to manifests of the image, and are stored too. */
  readonly referrers: readonly Digest[]
  readonly pin: boolean
}

export interface StoredFacts {
  readonly size: number
  readonly kind: 'manifest' | 'blob'
}

/**
 * Where an import stores what it reads: the store of a running agent, or one that this process has opened. Every method
 * rejects with a `Failure`.
 */
export interface ImportTarget {
  /** Describes those of the contents that are stored. */
  stored(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, StoredFacts>>
  /** The bytes of a stored manifest. */
  manifest(digest: Digest): Promise<Uint8Array | undefined>
  /** Stores a content once its digest is verified. */
  put(content: ContentToStore, read: ReadBytes, options: { signal: AbortSignal }): Promise<WrittenContent>
  /**
   * Does as `put`, and reads the file itself, for a target in another process. False: it does not see the same file, or may
   * not read it.
   */
  copy?(content: ContentToStore, file: FileRange, options: { signal: AbortSignal }): Promise<boolean>
  /** Moves a file into the store, where its digest is right. False: it cannot be moved, and must be copied. */
  move(file: FileToMove, options: { signal: AbortSignal }): Promise<boolean>
  /** Names the image, and pins it. Gives the contents that the store lacks; then the image gets no name and no pin. */
  name(image: ImageToName): Promise<readonly Digest[]>
  close(): Promise<void>
}
