import { mapConcurrently } from '../../lib/async/map-concurrently.ts'
import type { Digest } from '../../oci/digest.ts'
import { essence, isIndexType } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { Catalog } from '../../ports/catalog.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedBucket, HostedContent, Presence } from '../../ports/hosted/hosted-bucket.ts'
import type {
  HostedRegistry,
  ManifestRefusal,
  ManifestToPush,
  PushedManifest,
  Uploads,
} from '../../ports/hosted.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import { type CheckedManifest, checkManifest } from '../manifests/manifest-check.ts'
import type { UploadedBlob, UploadOutcome } from '../uploads/hosted-uploads.ts'
import { type CheckedContents, isBucketAway } from './checked-contents.ts'
import { storeManifest } from './local-copies.ts'

export interface BucketImagesOptions {
  readonly bucket: HostedBucket
  readonly checked: CheckedContents
  readonly uploads: Uploads
  readonly isHosted: (repository: Repository) => boolean
  readonly blobs: Pick<BlobStore, 'begin' | 'facts' | 'open'>
  readonly catalog: Pick<Catalog, 'rememberKnownName' | 'forgetTag'>
  /** What the cache has under which name: blobs of it can be mounted. */
  readonly cached: Pick<LocalContent, 'state'>
}

type SendParts = Pick<BucketImagesOptions, 'bucket' | 'blobs' | 'checked'>

/** How many contents are looked for at the same time. */
const MAX_PARALLEL = 8
/** After how long a client repeats a push while the bucket cannot be used. */
const PUSH_AGAIN_MS = 5_000
/** What was begun is ended also for a client that has gone; each request has a deadline. */
const NEVER = { signal: new AbortController().signal }

/** Takes what clients push into hosted repositories that are in a bucket. All of it is in the bucket when a method resolves. */
export class BucketImages implements HostedRegistry {
  readonly uploads: Uploads
  readonly #options: BucketImagesOptions

  constructor(options: BucketImagesOptions) {
    this.uploads = options.uploads
    this.#options = options
  }

  isHosted(repository: Repository): boolean {
    return this.#options.isHosted(repository)
  }

  mount(repository: Repository, digest: Digest, from: Repository): Promise<boolean> {
    const { bucket, cached, checked, catalog } = this.#options
    return pushing(async () => {
      if (this.isHosted(from)) {
        const presence = await bucket.presence({ repository: from, kind: 'blob', digest }, NEVER)
        if (presence === 'absent' || !(await bucket.mountBlob(repository, digest, NEVER))) return false
        checked.add({ repository, kind: 'blob', digest })
        return true
      }
      if ((await cached.state({ repository: from, digest }))?.isComplete !== true) return false
      if (!(await sendBlob(this.#options, { repository, digest }, NEVER))) return false
      await catalog.rememberKnownName(repository, digest).catch(() => {})
      return true
    })
  }

  async putManifest(
    repository: Repository,
    push: ManifestToPush,
  ): Promise<{ readonly pushed: PushedManifest } | { readonly refusal: ManifestRefusal }> {
    const result = checkManifest(push)
    if ('refusal' in result) return result
    const { manifest } = result
    return pushing(async () => {
      const needed = await this.#presenceOf(repository, manifest)
      const missing = manifest.needed.filter((digest) => needed.get(digest)?.presence === undefined)
      if (missing.length > 0) return { refusal: { kind: 'missing', missing } }
      await this.#put(repository, manifest, push)
      await this.#lookAgain([...needed.values()])
      return { pushed: { digest: manifest.digest, subject: manifest.subject } }
    })
  }

  async deleteTag(repository: Repository, tag: string): Promise<boolean> {
    const { bucket, catalog } = this.#options
    const isRemoved = await pushing(() => bucket.removeTag(repository, tag, NEVER))
    // A node does not go on with a tag that it has removed itself.
    await catalog.forgetTag(repository, tag).catch(() => {})
    return isRemoved
  }

  deleteManifest(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#delete({ repository, kind: 'manifest', digest })
  }

  deleteBlob(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#delete({ repository, kind: 'blob', digest })
  }

  async #delete(content: HostedContent): Promise<boolean> {
    const { bucket, checked } = this.#options
    try {
      return await pushing(() => bucket.remove(content, NEVER))
    } finally {
      checked.remove(content)
    }
  }

  async #put(
    repository: Repository,
    manifest: CheckedManifest,
    { bytes, tags }: ManifestToPush,
  ): Promise<void> {
    const { bucket, blobs, checked } = this.#options
    const { digest, subject } = manifest
    await storeManifest(blobs, repository, manifest, bytes)
    await bucket.addManifest(repository, { digest, bytes, subject }, NEVER)
    for (const tag of tags) await bucket.setTag(repository, tag, digest, NEVER)
    checked.add({ repository, kind: 'manifest', digest })
  }

  /** Gives the contents that a manifest needs, of those that the repository has. */
  async #presenceOf(
    repository: Repository,
    { needed, mediaType }: CheckedManifest,
  ): Promise<ReadonlyMap<Digest, HostedContent & { readonly presence: Presence }>> {
    const { bucket } = this.#options
    // An index lists manifests, and seldom other contents; an image the other way round.
    const kinds = isIndexType(essence(mediaType))
      ? (['manifest', 'blob'] as const)
      : (['blob', 'manifest'] as const)
    const find = async (digest: Digest) => {
      for (const kind of kinds) {
        const content = { repository, kind, digest }
        const presence = await bucket.presence(content, NEVER)
        if (presence !== 'absent') return { ...content, presence }
      }
      return undefined
    }
    const found = new Map<Digest, HostedContent & { readonly presence: Presence }>()
    for await (const one of mapConcurrently(new Set(needed), MAX_PARALLEL, find))
      if (one !== undefined) found.set(one.digest, one)
    return found
  }

  /** What nobody had needed for long may have been removed just before it was made young. */
  async #lookAgain(needed: readonly (HostedContent & { readonly presence: Presence })[]): Promise<void> {
    const { bucket } = this.#options
    for (const { presence, ...content } of needed) {
      if (presence !== 'renewed' || (await bucket.presence(content, NEVER)) !== 'absent') continue
      const message = `${content.digest} was removed as garbage while the manifest was pushed: push the image again.`
      throw new Failure('busy', message, { retryAfterMs: PUSH_AGAIN_MS })
    }
  }
}

/** An upload becomes cached content of this node, and is then sent to the bucket. */
export function sentUploads(parts: SendParts): UploadOutcome {
  return {
    publish: (content, { digest }, options) => content.publish(digest, undefined, options),
    afterEnd: (blob, options) =>
      pushing(async () => {
        if (await sendBlob(parts, blob, options)) return
        throw new Failure('disk', `${blob.digest} was evicted before it could be sent to the object store`)
      }),
  }
}

/** Sends a stored blob to the bucket, and links it. False: it is not stored. */
async function sendBlob(
  { bucket, blobs, checked }: SendParts,
  { repository, digest }: UploadedBlob,
  options: { signal: AbortSignal },
): Promise<boolean> {
  // What is open is not evicted.
  const content = await blobs.open(digest)
  if (content === undefined) return false
  try {
    await bucket.addBlob(repository, content, options)
  } finally {
    await content.close()
  }
  checked.add({ repository, kind: 'blob', digest })
  return true
}

/** A push has nowhere else to go when the bucket cannot be used: its client is told to repeat it. */
async function pushing<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!isBucketAway(error) || error.details.retryAfterMs !== undefined) throw error
    const { source } = error.details
    const details = { cause: error, retryAfterMs: PUSH_AGAIN_MS, ...(source === undefined ? {} : { source }) }
    throw new Failure('busy', error.message, details)
  }
}
