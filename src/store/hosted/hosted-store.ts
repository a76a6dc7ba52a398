import { lstat } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedCatalog, LinkToMake } from '../../ports/hosted/hosted-catalog.ts'
import {
  type HostedStore,
  type ManifestToStore,
  PUSHED,
  type UploadStore,
} from '../../ports/hosted/hosted-store.ts'
import { diskFailure, ignore } from '../files/layout.ts'
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
    const before = await index.get(digest)
    const stats = await lstat(blobFiles.path(digest)).catch(ignore('ENOENT'))
    const isWhole = stats?.isFile() === true && stats.size === bytes.length
    if (before === undefined || !isWhole) await blobFiles.putBytes(digest, bytes)
    await index.put(
      {
        digest,
        size: bytes.length,
        kind: 'manifest',
        mediaType: before?.mediaType ?? mediaType,
        origin: before?.origin ?? PUSHED,
        storedAt: Date.now(),
      },
      { references, subject, repository: undefined, link: { repository, kind: 'manifest', mediaType, tags } },
    )
  }
}
