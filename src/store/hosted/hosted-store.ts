import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedCatalog, LinkToMake } from '../../ports/hosted/hosted-catalog.ts'
import {
  type HostedStore,
  type ManifestToStore,
  PUSHED,
  type UploadStore,
} from '../../ports/hosted/hosted-store.ts'
import { diskFailure } from '../files/layout.ts'
import { MOST_INLINE_BYTES } from '../index/blob-entry.ts'
import { isWhole } from '../writing/is-whole.ts'
import type { PublishAs } from '../writing/publish-as.ts'
import type { StoreParts } from '../writing/store-parts.ts'

/** Stores and links what clients push. `claim` keeps a digest from being dropped while a link to it is made. */
export class DiskHostedStore implements HostedStore {
  readonly catalog: HostedCatalog
  readonly uploads: UploadStore
  readonly #parts: StoreParts
  readonly #claim: PublishAs

  constructor(
    { catalog, uploads }: { catalog: HostedCatalog; uploads: UploadStore },
    parts: StoreParts,
    claim: PublishAs,
  ) {
    this.catalog = catalog
    this.uploads = uploads
    this.#parts = parts
    this.#claim = claim
  }

  async link(digest: Digest, link: LinkToMake): Promise<boolean> {
    const endClaim = await this.#claim(digest)
    try {
      return await this.#parts.index.links.make(digest, link)
    } catch (cause) {
      throw diskFailure(`cannot link ${digest}`, cause)
    } finally {
      endClaim()
    }
  }

  async putManifest(manifest: ManifestToStore): Promise<void> {
    const { digest, bytes } = manifest
    const endClaim = await this.#claim(digest)
    try {
      const reservation = await this.#parts.budget.reserve(digest, bytes.length)
      if (reservation === undefined) throw new Failure('disk', `there is no room for ${bytes.length} bytes`)
      try {
        await this.#putManifest(manifest)
      } finally {
        reservation.release()
      }
    } catch (cause) {
      throw diskFailure(`cannot store the manifest ${digest}`, cause)
    } finally {
      endClaim()
    }
  }

  /**
   * A small manifest is in the index with its link, so that one synced write makes all of it durable: a file would take three
   * more. A file that the manifest has from a pull stays until the manifest is dropped.
   */
  async #putManifest({
    bytes,
    digest,
    references,
    subject,
    mediaType,
    repository,
    tags,
  }: ManifestToStore): Promise<void> {
    const { index, blobFiles } = this.#parts
    const { length: size } = bytes
    const isInline = size <= MOST_INLINE_BYTES
    if (!isInline && !(await isWhole(digest, size, this.#parts))) await blobFiles.putBytes(digest, bytes)
    const facts = { digest, size, kind: 'manifest', mediaType, origin: PUSHED, storedAt: Date.now() } as const
    await index.put(isInline ? { ...facts, isInline } : facts, {
      references,
      subject,
      repository: undefined,
      bytes: isInline ? bytes : undefined,
      link: { repository, kind: 'manifest', mediaType, tags },
    })
  }
}
