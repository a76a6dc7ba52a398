import type { Repository } from '../../oci/names/repository.ts'
import type { TagHead } from '../../ports/registry.ts'
import type { Bucket } from '../client/bucket.ts'
import type { Layout } from '../layout/layout.ts'
import type { BucketSource } from './bucket-source.ts'

/** Bounds a list of tags. */
const MAX_TAGS = 10_000

type Options = { readonly signal: AbortSignal }

/** What a bucket says of tags. */
export class BucketNames {
  readonly #bucket: Bucket
  readonly #layout: Layout
  readonly #source: BucketSource

  constructor(options: { bucket: Bucket; layout: Layout; source: BucketSource }) {
    this.#bucket = options.bucket
    this.#layout = options.layout
    this.#source = options.source
  }

  /** Gives what the tag refers to, as old as its object; undefined when the bucket does not have it. */
  async tag(repository: Repository, tag: string, options: Options): Promise<TagHead | undefined> {
    const key = this.#layout.tagKey(repository, tag)
    if (key === undefined) return undefined
    return this.#source.guarded(options.signal, async () => {
      const found = await this.#bucket.read(key, options)
      const digest = found && this.#layout.parseTag(found.text)
      if (found === undefined || digest === undefined) return undefined
      const ageMs = Math.max(0, Date.now() - found.modifiedAt)
      return { digest, mediaType: undefined, size: undefined, ageMs }
    })
  }

  /** Gives all tags in ASCII order; undefined when the bucket has none of the repository. */
  async tags(repository: Repository, options: Options): Promise<readonly string[] | undefined> {
    const folder = this.#layout.tagsFolder(repository)
    if (folder === undefined) return undefined
    return this.#source.guarded(options.signal, async () => {
      const tags: string[] = []
      for await (const tag of this.#bucket.folders(folder, options)) {
        tags.push(tag)
        if (tags.length === MAX_TAGS) break
      }
      return tags.length === 0 ? undefined : tags.sort()
    })
  }
}
