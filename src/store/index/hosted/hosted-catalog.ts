import type { Digest } from '../../../oci/digest.ts'
import { type Repository, repositoryFromKey } from '../../../oci/names/repository.ts'
import type { HostedCatalog, HostedLink, HostedTag } from '../../../ports/hosted/hosted-catalog.ts'
import { type Database, keysUnder, pages, SEPARATOR } from '../../database/database.ts'
import { diskFailure } from '../../files/layout.ts'
import { decodeLink } from './hosted-link.ts'
import { decodeTag } from './hosted-tag.ts'
import { digestIn, hostedTagKey, hostedTagsOf, lastPart, linksOf, pulledKey, repositoryIn } from './keys.ts'
import type { Links } from './links.ts'

/** Tells which contents are stored. */
interface StoredEntries {
  /** Remembers what is asked for often. */
  get(digest: Digest): Promise<unknown>
  getMany(digests: readonly Digest[]): Promise<readonly unknown[]>
}

/** The catalog of hosted repositories in LevelDB. Links and tags are written synced: nobody could fetch them again. */
export class LevelHostedCatalog implements HostedCatalog {
  readonly #database: Database
  readonly #links: Links
  readonly #entries: StoredEntries

  constructor(database: Database, links: Links, entries: StoredEntries) {
    this.#database = database
    this.#links = links
    this.#entries = entries
  }

  link(repository: Repository, digest: Digest): Promise<HostedLink | undefined> {
    return failingAsDisk(async () => {
      const link = await this.#links.names.link(repository, digest)
      if (link === undefined) return undefined
      return (await this.#entries.get(digest)) === undefined ? undefined : link
    })
  }

  filterLinked(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]> {
    if (digests.length === 0) return Promise.resolve([])
    return failingAsDisk(async () => {
      const linked = await this.#links.names.linkedIn(repository, digests)
      const entries = await this.#entries.getMany(linked)
      return linked.filter((_, at) => entries[at] !== undefined)
    })
  }

  async *links(repository: Repository): AsyncGenerator<HostedLink> {
    for await (const [key, text] of pages(this.#database, linksOf(repository))) {
      const digest = digestIn(key)
      const link = digest && decodeLink(digest, text)
      if (link !== undefined) yield link
    }
  }

  repositoriesOf(digest: Digest): Promise<readonly Repository[]> {
    return this.#links.repositoriesOf(digest)
  }

  /** Goes from the first link of one repository to the first link of the next one. */
  async repositories(): Promise<readonly Repository[]> {
    const found: Repository[] = []
    const { gte, lt } = keysUnder('link')
    for (let from = gte; ; ) {
      const [key] = await this.#database.keys({ gte: from, lt, limit: 1 }).all()
      if (key === undefined) return found
      const name = key.split(SEPARATOR)[1] ?? ''
      const repository = repositoryFromKey(name)
      if (repository !== undefined) found.push(repository)
      from = keysUnder('link', name).lt
    }
  }

  tag(repository: Repository, tag: string): Promise<HostedTag | undefined> {
    return failingAsDisk(async () => {
      const keys = [hostedTagKey(repository, tag), pulledKey(repository, tag)]
      const [text, pulled] = await this.#database.getMany(keys)
      return text === undefined ? undefined : hostedTag(repository, tag, text, pulled)
    })
  }

  tagDigest(repository: Repository, tag: string): Promise<Digest | undefined> {
    return failingAsDisk(async () => (await this.#links.names.tag(repository, tag))?.digest)
  }

  tagNames(repository: Repository): Promise<readonly string[]> {
    return failingAsDisk(async () =>
      (await this.#database.keys(hostedTagsOf(repository)).all()).map(lastPart),
    )
  }

  async *tags(repository?: Repository): AsyncGenerator<HostedTag> {
    for await (const [key, text] of pages(this.#database, hostedTagsOf(repository))) {
      const of = repositoryIn(key)
      if (of === undefined) continue
      const tag = lastPart(key)
      const found = hostedTag(of, tag, text, await this.#database.get(pulledKey(of, tag)))
      if (found !== undefined) yield found
    }
  }

  renewLink(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#links.renew(repository, digest)
  }

  removeLink(repository: Repository, digest: Digest): Promise<boolean> {
    return failingAsDisk(async () => {
      const tags: string[] = []
      for await (const tag of this.tags(repository)) if (tag.digest === digest) tags.push(tag.tag)
      return this.#links.remove(repository, digest, tags)
    })
  }

  removeOldLink(repository: Repository, digest: Digest, before: number): Promise<boolean> {
    return failingAsDisk(() => this.#links.remove(repository, digest, [], before))
  }

  removeTag(repository: Repository, tag: string): Promise<boolean> {
    return failingAsDisk(async () => {
      if ((await this.tag(repository, tag)) === undefined) return false
      await this.#links.removeTag(repository, tag)
      return true
    })
  }

  async markPulled(repository: Repository, tag: string): Promise<void> {
    await this.#database.put(pulledKey(repository, tag), String(Date.now()))
  }
}

/** Clients are told of a failure of the index as of one of the disk. */
async function failingAsDisk<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    throw diskFailure('cannot use the index of hosted repositories', cause)
  }
}

function hostedTag(
  repository: Repository,
  tag: string,
  text: string,
  pulled: string | undefined,
): HostedTag | undefined {
  const value = decodeTag(text)
  const pulledAt = Number(pulled)
  return value && { repository, tag, ...value, pulledAt: pulledAt > 0 ? pulledAt : undefined }
}
