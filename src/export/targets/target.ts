import type { Digest } from '../../oci/digest.ts'
import type { Reference } from '../../oci/names/reference.ts'

/** A manifest of an image with its verified bytes. */
export interface ManifestPart {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>>
  readonly subject: Digest | undefined
}

export interface BlobPart {
  readonly digest: Digest
  readonly size: number
}

/** An image with all that is to be written of it. */
export interface ExportImage {
  readonly reference: Reference
  readonly root: ManifestPart
  /** All manifests, each after those that it lists; the root comes before its referrers. */
  readonly manifests: readonly ManifestPart[]
  /** Those manifests that are here because their subject is. */
  readonly referrers: readonly ManifestPart[]
  /** The tags by which cosign finds some of them. */
  readonly referrerTags: ReadonlyMap<string, ManifestPart>
  readonly blobs: readonly BlobPart[]
  /** The number of foreign layers, which no registry has. */
  readonly foreign: number
  /** Why referrers may be missing that were asked for; undefined: none is. */
  readonly referrersProblem: string | undefined
}

/** Where images are written to. A target is used by one export at a time. */
export interface ExportTarget {
  /** What a `Failure` of the target itself names as its source; undefined: the target gives none. */
  readonly source?: string
  /** Whether blobs of one image may be added at the same time. */
  readonly isConcurrent: boolean
  /**
   * Begins an image. Rejects with an `ExportError` if the target cannot hold it. The writer that it gives is done with
   * before the next image begins.
   */
  begin(image: ExportImage): Promise<ImageWriter>
  /** Completes the target after the last image. */
  finish(): Promise<void>
  /** Frees what the target has open. What is written whole stays. Called at the end, also after `finish`. */
  close(): Promise<void>
}

export interface ImageWriter {
  /** Whether the target has the blob, from this export or an earlier one. */
  has(blob: BlobPart): Promise<boolean>
  /** Writes a blob. Rejects, and leaves nothing of it, when the bytes have another digest or size. */
  add(blob: BlobPart, chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** Writes the manifests, and then what makes the image visible under its name. All blobs are there. */
  commit(): Promise<void>
}
