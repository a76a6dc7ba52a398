import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** A manifest as the reader has it. Whoever asks for it checks the digest. */
export interface ReadManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string | undefined
  /** The digest by which the reader knows it; undefined: the reader does not say. */
  readonly digest: Digest | undefined
}

type Options = { readonly signal: AbortSignal }

/**
 * Where images are exported from: a running agent, a data folder, or images in files. Methods reject with a `Failure`
 * when the content cannot be had; its code is `absent` when it does not exist.
 */
export interface ImageReader {
  manifest(repository: Repository, reference: string | Digest, options: Options): Promise<ReadManifest>
  /**
   * The bytes of a blob. A chunk is valid until the next one is asked for. The bytes are not verified, and there may be
   * fewer or more of them than `size`.
   */
  blob(
    repository: Repository,
    blob: Pick<Descriptor, 'digest' | 'size'>,
    options: Options,
  ): AsyncIterable<Uint8Array>
  /** Describes the manifests whose subject is `subject`; empty when there are none. A failure says that nobody knows. */
  referrers(repository: Repository, subject: Digest, options: Options): Promise<readonly Descriptor[]>
}
