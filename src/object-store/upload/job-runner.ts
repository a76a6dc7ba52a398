import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Bucket } from '../client/bucket.ts'
import { type DistributionLayout, dataKey } from '../layout/distribution.ts'
import { BucketLinks, RENEW_LINK_MS } from './bucket-links.ts'
import type { ContentUpload } from './content-upload.ts'
import type { UploadJob, UploadStore } from './upload-store.ts'

const MAX_WRONG = 10_000
const MAX_WAITING_TAGS = 10_000

type Options = { readonly signal: AbortSignal }
type ContentJob = Extract<UploadJob, { is: 'content' }>
type TagJob = Extract<UploadJob, { is: 'tag' }>

export interface JobRunnerOptions {
  readonly bucket: Bucket
  readonly layout: DistributionLayout
  readonly store: UploadStore
  readonly contents: ContentUpload
}

/** Does one upload: the bytes of a content and then its link, or the link of a tag. */
export class JobRunner {
  readonly #bucket: Bucket
  readonly #links: BucketLinks
  readonly #layout: DistributionLayout
  readonly #store: UploadStore
  readonly #contents: ContentUpload
  /** Contents whose object in the bucket has turned out to be wrong. */
  readonly #wrong = new BoundedMap<Digest, true>(MAX_WRONG)
  /** Tags whose manifests are not in the bucket yet, by repository and digest. */
  readonly #waitingTags = new BoundedMap<string, TagJob>(MAX_WAITING_TAGS)

  constructor({ bucket, layout, store, contents }: JobRunnerOptions) {
    this.#bucket = bucket
    this.#links = new BucketLinks(bucket)
    this.#layout = layout
    this.#store = store
    this.#contents = contents
  }

  /** Says that the object of a content is wrong: the next upload replaces it. */
  markWrong(digest: Digest): void {
    this.#wrong.set(digest, true)
  }

  async run(job: UploadJob, options: Options): Promise<void> {
    if (job.is === 'content') await this.#uploadContent(job, options)
    else await this.#writeTag(job, options)
  }

  async #uploadContent(job: ContentJob, { signal }: Options): Promise<void> {
    const { digest } = job
    const link = this.#layout.contentKeys(job)?.link
    const content = link === undefined ? undefined : await this.#store.peek(digest)
    // It was evicted before its turn.
    if (link === undefined || content === undefined) return
    const startedAt = Date.now()
    try {
      const replace = this.#wrong.has(digest)
      // What collects garbage looks at the age of an object just before it removes it. So the link that is there is made young
      // before it is relied on, and so are bytes to which no link of this repository leads yet.
      // The search of the store finds also what upstream has not confirmed for long: that does not become younger.
      const isLinked = job.isConfirmed
        ? await this.#links.makeYoung(link, digest, { signal })
        : (await this.#bucket.head(link, { signal })) !== undefined
      const key = dataKey(digest)
      let bytes = await this.#contents.send(key, content, { replace, signal })
      this.#wrong.delete(digest)
      if (!isLinked) {
        if (bytes === 0 && !(await this.#links.makeBytesYoung(key, { signal })))
          bytes = await this.#contents.send(key, content, { replace: true, signal })
        await this.#links.write(link, digest, { signal })
      }
      const ms = Date.now() - startedAt
      publish('object-store.uploaded', { bucket: this.#bucket.name, digest, bytes, ms })
      const tag = this.#waitingTags.get(manifestKey(job.repository, digest))
      if (tag !== undefined) await this.#writeTag(tag, { signal })
    } finally {
      await content.close()
    }
  }

  async #writeTag({ repository, tag }: TagJob, { signal }: Options): Promise<void> {
    const key = this.#layout.tagKey(repository, tag)
    const record = await this.#store.catalog.tag(repository, tag)
    if (key === undefined || record === undefined) return
    const { digest, checkedAt } = record
    const want = { digest, kind: 'manifest', repository } as const
    const manifest = this.#layout.contentKeys(want)?.link
    if (manifest === undefined) return
    // A tag refers only to what is there. It is remembered before the bucket is asked, or a manifest that arrives just
    // now would not find it.
    const waitingKey = manifestKey(repository, digest)
    this.#waitingTags.set(waitingKey, { is: 'tag', repository, tag })
    if ((await this.#bucket.head(manifest, { signal })) === undefined) return
    this.#waitingTags.delete(waitingKey)
    const known = await this.#bucket.read(key, { signal })
    if (known !== undefined) {
      const isSame = this.#layout.parseTag(known.text) === digest
      // Another node has heard of upstream later. A record that comes from the link itself is as old as the link, and must not
      // make it younger: so the age of the record counts, and not the time of the day.
      if (known.modifiedAt > checkedAt || (isSame && checkedAt - known.modifiedAt < RENEW_LINK_MS)) return
    }
    await this.#makeLinksYoung(digest, repository, { signal })
    const index = this.#layout.tagIndexKey(repository, tag, digest)
    if (index !== undefined) await this.#links.write(index, digest, { signal })
    await this.#links.write(key, digest, { signal })
  }

  /** Makes the links young that an image needs, of those that are there: its tag is about to need them. */
  async #makeLinksYoung(manifest: Digest, repository: Repository, options: Options): Promise<void> {
    const ofManifest = this.#layout.contentKeys({ digest: manifest, kind: 'manifest', repository })?.link
    if (ofManifest !== undefined) await this.#links.makeYoung(ofManifest, manifest, options)
    const manifests = [manifest]
    const known = new Set(manifests)
    for (let next = manifests.pop(); next !== undefined; next = manifests.pop()) {
      for (const digest of await this.#store.references(next)) {
        if (known.has(digest)) continue
        known.add(digest)
        for (const kind of ['blob', 'manifest'] as const) {
          const link = this.#layout.contentKeys({ digest, kind, repository })?.link
          if (link === undefined || !(await this.#links.makeYoung(link, digest, options))) continue
          // An index needs what its manifests need.
          if (kind === 'manifest') manifests.push(digest)
          break
        }
      }
    }
  }
}

function manifestKey(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)}@${digest}`
}
