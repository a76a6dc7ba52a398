import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import type { Reference } from '../../oci/names/reference.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalSource } from '../../ports/local-source.ts'
import { contentBytes, contentChunks } from './content-bytes.ts'
import type { ImageReader, ReadManifest } from './image-reader.ts'

type Options = { readonly signal: AbortSignal }

/** Reads images in files: an OCI layout, or a folder of skopeo. */
export class SourceReader implements ImageReader {
  readonly #source: LocalSource

  constructor(source: LocalSource) {
    this.#source = source
  }

  /** Every image of the source, by repository and tag, in the order of their names. */
  async images({ signal }: Options): Promise<readonly Reference[]> {
    const found: Reference[] = []
    const repositories = [...(await this.#source.repositories({ signal }))].sort((one, other) =>
      repositoryKey(one) < repositoryKey(other) ? -1 : 1,
    )
    for (const repository of repositories) {
      const tags = [...(await this.#source.tags(repository, { signal }))].sort()
      for (const tag of tags) found.push({ repository, tag, digest: undefined })
    }
    return found
  }

  async manifest(repository: Repository, reference: string, { signal }: Options): Promise<ReadManifest> {
    const digest =
      parseDigest(reference) ?? (await this.#source.tag(repository, reference, { signal }))?.digest
    if (digest === undefined) {
      throw new Failure('absent', `${this.#source.name} has no ${repositoryKey(repository)}:${reference}`)
    }
    const content = await this.#open('manifest', repository, digest, signal)
    const { mediaType } = content
    return { bytes: await contentBytes(content, MAX_MANIFEST_BYTES, signal), mediaType, digest }
  }

  async *blob(
    repository: Repository,
    { digest }: Pick<Descriptor, 'digest'>,
    { signal }: Options,
  ): AsyncGenerator<Uint8Array> {
    yield* contentChunks(await this.#open('blob', repository, digest, signal), signal)
  }

  referrers(repository: Repository, subject: Digest, options: Options): Promise<readonly Descriptor[]> {
    return this.#source.referrers(repository, subject, options)
  }

  async #open(
    kind: 'manifest' | 'blob',
    repository: Repository,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<Content> {
    const content = await this.#source.open({ kind, repository, digest }, { signal })
    if (content !== undefined) return content
    throw new Failure('absent', `${this.#source.name} does not have ${digest}, or has it damaged`)
  }
}
