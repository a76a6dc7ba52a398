import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Resolver } from '../../ports/resolver.ts'
import { contentBytes, contentChunks } from './content-bytes.ts'
import type { ImageReader, ReadManifest } from './image-reader.ts'

type Options = { readonly signal: AbortSignal }

/** Reads images through a resolver of this process: from a data folder, and from upstream what the folder does not have. */
export class ResolverReader implements ImageReader {
  readonly #resolver: Resolver

  constructor(resolver: Resolver) {
    this.#resolver = resolver
  }

  async manifest(repository: Repository, reference: string, { signal }: Options): Promise<ReadManifest> {
    const asked = parseDigest(reference)
    const { body, mediaType, digest } = await (asked === undefined
      ? this.#resolver.manifestByTag(repository, reference, { signal })
      : this.#resolver.manifestByDigest(repository, asked, { signal }))
    const bytes = body instanceof Uint8Array ? body : await contentBytes(body, MAX_MANIFEST_BYTES, signal)
    return { bytes, mediaType, digest }
  }

  async *blob(
    repository: Repository,
    { digest }: Pick<Descriptor, 'digest'>,
    { signal }: Options,
  ): AsyncGenerator<Uint8Array> {
    const { content } = await this.#resolver.blob(repository, digest, { signal })
    yield* contentChunks(content, signal)
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    { signal }: Options,
  ): Promise<readonly Descriptor[]> {
    try {
      const { index } = await this.#resolver.referrers(repository, subject, { signal })
      return referrersIn(index, subject)
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return []
      throw error
    }
  }
}

/** The manifests that a list of referrers describes. */
export function referrersIn(index: Uint8Array, subject: Digest): readonly Descriptor[] {
  const list = parseManifest(index, OCI_INDEX)
  if (!list.ok) {
    throw new Failure('unavailable', `the list of referrers of ${subject} is invalid: ${list.problem}`)
  }
  return list.value.manifests
}
