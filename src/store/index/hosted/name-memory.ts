import type { Digest } from '../../../oci/digest.ts'
import type { Repository } from '../../../oci/names/repository.ts'
import type { HostedLink } from '../../../ports/hosted/hosted-catalog.ts'
import type { Database } from '../../database/database.ts'
import { decodeLink } from './hosted-link.ts'
import { decodeTag, type TagValue } from './hosted-tag.ts'
import { KeyMemory } from './key-memory.ts'
import { hostedTagKey, linkKey } from './keys.ts'

/** The keys that a write changes, with their values; undefined for those that it removes. */
interface NameChanges {
  readonly links?: ReadonlyMap<string, HostedLink | undefined>
  readonly tags?: ReadonlyMap<string, TagValue | undefined>
}

/** Reads links and tags of hosted repositories, and remembers those that are read often. */
export class NameMemory {
  readonly #database: Pick<Database, 'get' | 'getMany'>
  readonly #links = new KeyMemory<HostedLink>()
  readonly #tags = new KeyMemory<TagValue>()

  constructor(database: Pick<Database, 'get' | 'getMany'>) {
    this.#database = database
  }

  link(repository: Repository, digest: Digest): Promise<HostedLink | undefined> {
    const key = linkKey(repository, digest)
    return this.#links.read(key, async () => {
      const text: string | undefined = await this.#database.get(key)
      return text === undefined ? undefined : decodeLink(digest, text)
    })
  }

  tag(repository: Repository, tag: string): Promise<TagValue | undefined> {
    const key = hostedTagKey(repository, tag)
    return this.#tags.read(key, async () => {
      const text: string | undefined = await this.#database.get(key)
      return text === undefined ? undefined : decodeTag(text)
    })
  }

  /** Gives those of `digests` that are linked in the repository. */
  async linkedIn(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]> {
    const keys = digests.map((digest) => linkKey(repository, digest))
    const unknown = keys.filter((key) => this.#links.known(key) === undefined)
    const texts = unknown.length === 0 ? [] : await this.#database.getMany(unknown)
    const absent = new Set(unknown.filter((_, at) => texts[at] === undefined))
    return digests.filter((_, at) => !absent.has(keys[at] ?? ''))
  }

  /** Runs a write that changes links and tags. All of them are changed by this. */
  change({ links = new Map(), tags = new Map() }: NameChanges, write: () => Promise<void>): Promise<void> {
    return this.#links.change(links, () => this.#tags.change(tags, write))
  }
}
