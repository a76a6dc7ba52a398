import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Bucket } from '../client/bucket.ts'
import { DISTRIBUTION_ROOT, type DistributionLayout } from '../layout/distribution.ts'
import type { HeldOptions } from './bucket-lock.ts'
import type { BucketTag } from './expiry-rules.ts'

const REPOSITORIES = `${DISTRIBUTION_ROOT}/repositories/`

/** An object that says that a repository has a content. */
export interface ContentLink {
  readonly digest: Digest
  readonly key: string
  readonly modifiedAt: number
}

export interface RepositoryTag extends BucketTag {
  readonly digest: Digest
  /** The link itself, and then the links of what the tag has referred to. */
  readonly keys: readonly string[]
}

export interface RepositoryTags {
  readonly tags: readonly RepositoryTag[]
  /** A tag whose link names no digest, so that nobody knows what it needs. */
  readonly unreadable: string | undefined
}

/** What a bucket has of one repository. Its memory is an entry for each link. */
export interface RepositoryContents extends RepositoryTags {
  /** Its path in the bucket. */
  readonly path: string
  /** Undefined: the path is not the name of a repository of this agent. */
  readonly repository: Repository | undefined
  readonly manifests: readonly ContentLink[]
  readonly blobs: readonly ContentLink[]
}

/** Reads the names of repositories, and their links, in the layout of the distribution registry. */
export class BucketRepositories {
  readonly #bucket: Bucket
  readonly #layout: DistributionLayout

  constructor(bucket: Bucket, layout: DistributionLayout) {
    this.#bucket = bucket
    this.#layout = layout
  }

  /** Gives the paths of all repositories. */
  async *paths(options: HeldOptions, above = ''): AsyncGenerator<string> {
    let isRepository = false
    const folders: string[] = []
    for await (const folder of this.#bucket.folders(`${REPOSITORIES}${above}`, options)) {
      await options.hold()
      // No part of a name begins with an underscore.
      if (folder.startsWith('_')) isRepository = true
      else folders.push(folder)
    }
    if (isRepository) yield above.slice(0, -1)
    for (const folder of folders) yield* this.paths(options, `${above}${folder}/`)
  }

  async read(path: string, options: HeldOptions): Promise<RepositoryContents> {
    const folder = `${REPOSITORIES}${path}/`
    return {
      path,
      repository: this.#layout.repositoryAt(path),
      ...(await this.tags(path, options)),
      manifests: await this.#links(`${folder}_manifests/revisions/`, options),
      blobs: await this.#links(`${folder}_layers/`, options),
    }
  }

  async tags(path: string, options: HeldOptions): Promise<RepositoryTags> {
    const folder = `${REPOSITORIES}${path}/_manifests/tags/`
    const found = new Map<string, { modifiedAt: number | undefined; readonly keys: string[] }>()
    for await (const { key, modifiedAt } of this.#bucket.list(folder, options)) {
      await options.hold()
      const [tag = '', kind] = key.slice(folder.length).split('/')
      const entry = found.get(tag) ?? { modifiedAt: undefined, keys: [] }
      found.set(tag, entry)
      if (kind === 'current') {
        entry.modifiedAt = modifiedAt
        entry.keys.unshift(key)
      } else entry.keys.push(key)
    }
    const tags: RepositoryTag[] = []
    let unreadable: string | undefined
    for (const [tag, { modifiedAt, keys }] of found) {
      const [key] = keys
      if (modifiedAt === undefined || key === undefined) continue
      await options.hold()
      const link = await this.#bucket.read(key, options)
      // It was removed since it was listed.
      if (link === undefined) continue
      const digest = this.#layout.parseTag(link.text)
      if (digest === undefined) unreadable ??= tag
      else tags.push({ tag, digest, modifiedAt, keys })
    }
    return { tags, unreadable }
  }

  async #links(folder: string, options: HeldOptions): Promise<readonly ContentLink[]> {
    const links: ContentLink[] = []
    for await (const { key, modifiedAt } of this.#bucket.list(folder, options)) {
      await options.hold()
      const [algorithm = '', hex = '', name] = key.slice(folder.length).split('/')
      const digest = parseDigest(`${algorithm}:${hex}`)
      if (digest !== undefined && name === 'link') links.push({ digest, key, modifiedAt })
    }
    return links
  }
}

/** The digest whose bytes are under this key; undefined for another key. */
export function digestOfDataKey(key: string): Digest | undefined {
  const [, algorithm = '', hex = ''] =
    /^docker\/registry\/v2\/blobs\/(\w+)\/[\da-f]{2}\/([\da-f]+)\/data$/.exec(key) ?? []
  return parseDigest(`${algorithm}:${hex}`)
}
