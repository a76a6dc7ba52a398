import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedBucket, HostedContent, Presence } from '../../ports/hosted/hosted-bucket.ts'
import type { Bucket } from '../client/bucket.ts'
import { type DistributionLayout, dataKey, digestAt } from '../layout/distribution.ts'
import { BucketLinks, RENEW_LINK_MS } from '../upload/bucket-links.ts'
import type { ContentUpload } from '../upload/content-upload.ts'
import { sha256Of } from '../upload/part-hashes.ts'

type Options = { readonly signal: AbortSignal }

export interface HostedContentsOptions {
  readonly bucket: Bucket
  readonly layout: DistributionLayout
  readonly contents: ContentUpload
}

/** The bytes of hosted repositories in a bucket, and the links to them. */
export class HostedContents {
  readonly #bucket: Bucket
  readonly #layout: DistributionLayout
  readonly #contents: ContentUpload
  readonly #links: BucketLinks

  constructor({ bucket, layout, contents }: HostedContentsOptions) {
    this.#bucket = bucket
    this.#layout = layout
    this.#contents = contents
    this.#links = new BucketLinks(bucket)
  }

  /** Makes an old content young by its link: whoever collects garbage removes links first, and bytes that have none. */
  async presence(content: HostedContent, options: Options): Promise<Presence> {
    const key = this.#linkKey(content)
    const [link, data] = await Promise.all([
      this.#bucket.head(key, options),
      this.#bucket.head(dataKey(content.digest), options),
    ])
    if (link === undefined || data === undefined) return 'absent'
    if (Date.now() - link.modifiedAt < RENEW_LINK_MS) return 'present'
    try {
      await this.#links.write(key, content.digest, options)
      return 'renewed'
    } catch (error) {
      // An agent that may only read serves pulls, and takes no push.
      if (error instanceof Failure && error.code === 'denied') return 'present'
      throw error
    }
  }

  async addBlob(
    repository: Repository,
    blob: Parameters<HostedBucket['addBlob']>[1],
    options: Options,
  ): Promise<void> {
    const { digest } = blob
    const key = dataKey(digest)
    const sent = await this.#contents.send(key, blob, { replace: false, ...options })
    // The object that was there may be removed as an old one before its link is written.
    if (sent === 0 && !(await this.#links.makeBytesYoung(key, options)))
      await this.#contents.send(key, blob, { replace: true, ...options })
    await this.#link({ repository, kind: 'blob', digest }, options)
  }

  async mountBlob(repository: Repository, digest: Digest, options: Options): Promise<boolean> {
    if (!(await this.#links.makeBytesYoung(dataKey(digest), options))) return false
    await this.#link({ repository, kind: 'blob', digest }, options)
    return true
  }

  /** The entry of the subject is written before the link, so that the manifest is a referrer as soon as it is there. */
  async addManifest(
    repository: Repository,
    { digest, bytes, subject }: Parameters<HostedBucket['addManifest']>[1],
    { signal }: Options,
  ): Promise<void> {
    const key = dataKey(digest)
    const written = { sha256: await sha256Of(bytes), signal }
    if (
      !(await this.#bucket.put(key, bytes, written)) &&
      !(await this.#links.makeBytesYoung(key, { signal }))
    )
      await this.#bucket.put(key, bytes, { ...written, replace: true })
    if (subject !== undefined)
      await this.#links.write(this.#referrerKey(repository, subject, digest), digest, { signal })
    await this.#link({ repository, kind: 'manifest', digest }, { signal })
  }

  /** Whether the link of a content is there. */
  async isLinked(content: HostedContent, options: Options): Promise<boolean> {
    return (await this.#bucket.head(this.#linkKey(content), options)) !== undefined
  }

  /** Writes the link of a content whose bytes are there. */
  async link(content: HostedContent, options: Options): Promise<void> {
    await this.#link(content, options)
  }

  /**
   * Removes a link, and the entry that names a manifest as a referrer, which an interrupted removal may have left. False: there is
   * neither. The bytes stay until garbage is collected.
   */
  async unlink(content: HostedContent, options: Options): Promise<boolean> {
    const { repository, kind, digest } = content
    const subject = kind === 'manifest' ? await this.#subjectOf(digest, options) : undefined
    const isLinked = await this.#delete(this.#linkKey(content), options)
    if (subject === undefined) return isLinked
    const isListed = await this.#delete(this.#referrerKey(repository, subject, digest), options)
    return isLinked || isListed
  }

  async referrers(repository: Repository, subject: Digest, options: Options): Promise<readonly Digest[]> {
    const folder = this.#layout.referrersFolder(repository, subject) ?? this.#unknown(repository)
    const found: Digest[] = []
    for await (const { key } of this.#bucket.list(folder, options)) {
      const digest = digestAt(key.slice(folder.length))
      if (digest !== undefined) found.push(digest)
    }
    return found
  }

  async #link(content: HostedContent, options: Options): Promise<void> {
    await this.#links.write(this.#linkKey(content), content.digest, options)
  }

  /** False: there is no such object. */
  async #delete(key: string, options: Options): Promise<boolean> {
    if ((await this.#bucket.head(key, options)) === undefined) return false
    await this.#bucket.delete([key], options)
    return true
  }

  async #subjectOf(manifest: Digest, options: Options): Promise<Digest | undefined> {
    const key = dataKey(manifest)
    // It may be the digest of a blob.
    if (((await this.#bucket.head(key, options))?.size ?? 0) > MAX_MANIFEST_BYTES) return undefined
    const object = await this.#bucket.read(key, options)
    const parsed = object && parseManifest(Buffer.from(object.text))
    return parsed?.ok ? parsed.value.subject?.digest : undefined
  }

  #linkKey(content: HostedContent): string {
    return this.#layout.contentKeys(content)?.link ?? this.#unknown(content.repository)
  }

  #referrerKey(repository: Repository, subject: Digest, digest: Digest): string {
    return this.#layout.referrerKey(repository, subject, digest) ?? this.#unknown(repository)
  }

  #unknown({ registry }: Repository): never {
    const source = this.#bucket.name
    throw new Failure('unavailable', `${source} cannot have repositories of ${registry}.`, { source })
  }
}
