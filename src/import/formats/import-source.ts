import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { FileRange } from '../../sources/files/file-tree.ts'

/** An image that can be imported. */
export interface FoundImage {
  /** undefined: the source gives it no name. */
  readonly repository: Repository | undefined
  /** undefined: it is known by its digest only. */
  readonly tag: string | undefined
  readonly root: { readonly digest: Digest; readonly mediaType: string | undefined }
  /** The folder or the name inside the source that tells the image from others. */
  readonly place: string
}

/** Something of the source that cannot be imported. */
export interface LeftOut {
  readonly file: string
  /** A sentence. */
  readonly error: string
}

/** Bytes of a content: in a file, or read already. */
export type Located = FileRange | Uint8Array

/** Images in files. Every method rejects with a `Failure` when the source cannot be read. */
export interface ImportSource {
  /** Shown to users, such as `oci /srv/images`. */
  readonly name: string
  /** The cache of another tool: its files may be moved into the store, and an index may have images that were never pulled. */
  readonly isCache: boolean
  images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }>
  /** Where the bytes of a content are; undefined: the source does not have it. */
  locate(image: FoundImage, digest: Digest): Promise<Located | undefined>
  /** Manifests of the source that may be referrers of the image. */
  possibleReferrers(image: FoundImage): Promise<readonly Descriptor[]>
  /** Whether the source promises that a content of the image is needed, or was left out because the other side has it. */
  isNeeded(digest: Digest): boolean
}

/** Which images are wanted, and how they are called. */
export interface ImageNames {
  /** The registry of every image; undefined: the one in its name, or else `defaultRegistry`. */
  readonly registry: string | undefined
  readonly defaultRegistry: string
}
