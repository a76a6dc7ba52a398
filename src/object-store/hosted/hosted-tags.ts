import { mapConcurrently } from '../../lib/async/map-concurrently.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Bucket } from '../client/bucket.ts'
import { type DistributionLayout, pathOf } from '../layout/distribution.ts'
import { BucketLinks } from '../upload/bucket-links.ts'
import { sha256Of } from '../upload/part-hashes.ts'

/** Each time that a tag has changed, somebody else has moved it: so many of them are let by. */
const MAX_ATTEMPTS = 32
/** Bounds the memory for a list of tags. */
const MAX_TAGS = 100_000
/** How many tags are looked at at the same time. */
const MAX_PARALLEL = 8
const CURRENT = '/current/link'

type Options = { readonly signal: AbortSignal }

/** The tags of hosted repositories in a bucket: one object says what a tag refers to, others what it has referred to. */
export class HostedTags {
  readonly #bucket: Bucket
  readonly #layout: DistributionLayout
  readonly #links: BucketLinks

  constructor(bucket: Bucket, layout: DistributionLayout) {
    this.#bucket = bucket
    this.#layout = layout
    this.#links = new BucketLinks(bucket)
  }

  async get(repository: Repository, tag: string, options: Options): Promise<Digest | undefined> {
    const known = await this.#bucket.read(this.#key(repository, tag), options)
    return known && this.#layout.parseTag(known.text)
  }

  /** Moves a tag, and then adds the entry by which the registry knows what the tag has referred to. */
  async set(repository: Repository, tag: string, digest: Digest, { signal }: Options): Promise<void> {
    const key = this.#key(repository, tag)
    const body = Buffer.from(digest)
    const sha256 = await sha256Of(body)
    const index = this.#layout.tagIndexKey(repository, tag, digest)
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const known = await this.#bucket.read(key, { signal })
      if (!(await this.#bucket.replace(key, body, { known, sha256, signal }))) continue
      if (index !== undefined) await this.#links.write(index, digest, { signal })
      return
    }
    throw new Failure('busy', `Many clients push the tag ${tag} at the same time: push it again.`)
  }

  /** False: there is no such tag. */
  async remove(repository: Repository, tag: string, options: Options): Promise<boolean> {
    return this.#remove(repository, tag, () => true, options)
  }

  /** Removes all tags that refer to a manifest, by reading each tag of the repository. False: there is none. */
  async removeAllOf(repository: Repository, digest: Digest, options: Options): Promise<boolean> {
    const remove = (tag: string): Promise<boolean> =>
      this.#remove(repository, tag, (current) => current === digest, options)
    let isAnyRemoved = false
    const names = await this.names(repository, options)
    for await (const isRemoved of mapConcurrently(names, MAX_PARALLEL, remove))
      if (isRemoved) isAnyRemoved = true
    return isAnyRemoved
  }

  /** Gives all tags in ASCII order. A tag that has only entries was removed. */
  async names(repository: Repository, options: Options): Promise<readonly string[]> {
    const folder = this.#folder(repository)
    const tags: string[] = []
    for await (const { key } of this.#bucket.list(folder, options)) {
      if (!key.endsWith(CURRENT)) continue
      tags.push(key.slice(folder.length, -CURRENT.length))
      if (tags.length > MAX_TAGS) {
        const source = this.#bucket.name
        throw new Failure('too-large', `${source}: a repository has more than ${MAX_TAGS} tags.`, { source })
      }
    }
    return tags.sort()
  }

  /** Removes a tag if what it refers to then is to be removed. */
  async #remove(
    repository: Repository,
    tag: string,
    isToRemove: (current: Digest | undefined) => boolean,
    options: Options,
  ): Promise<boolean> {
    const key = this.#key(repository, tag)
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const known = await this.#bucket.read(key, options)
      if (known === undefined || !isToRemove(this.#layout.parseTag(known.text))) return false
      if (!(await this.#bucket.deleteVersion(key, { known, ...options }))) continue
      await this.#removeEntries(repository, tag, options)
      return true
    }
    throw new Failure('busy', `Many clients push the tag ${tag} at the same time: remove it again.`)
  }

  /** Entries that are left when this fails say nothing without the tag. */
  async #removeEntries(repository: Repository, tag: string, options: Options): Promise<void> {
    for await (const { key } of this.#bucket.list(`${this.#folder(repository)}${tag}/index/`, options)) {
      // The tag may have been set again meanwhile: the entry of what it refers to stays.
      const current = await this.get(repository, tag, options)
      if (current === undefined || !key.includes(`/index/${pathOf(current)}/`))
        await this.#bucket.delete([key], options)
    }
  }

  #key(repository: Repository, tag: string): string {
    return `${this.#folder(repository)}${tag}${CURRENT}`
  }

  #folder(repository: Repository): string {
    const folder = this.#layout.tagsFolder(repository)
    if (folder !== undefined) return folder
    const source = this.#bucket.name
    throw new Failure('unavailable', `${source}: it cannot have repositories of ${repository.registry}.`, {
      source,
    })
  }
}
