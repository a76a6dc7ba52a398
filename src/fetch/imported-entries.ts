import { type Digest, parseDigest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { descriptorsIn, type ListedReferrer } from '../oci/referrers.ts'
import { type Catalog, importedTopic } from '../ports/catalog.ts'

/** What imports have added to a list. */
export interface Imported<Entry> {
  readonly entries: readonly Entry[]
  readonly importedAt: number
}

/** Finds what imports have added to lists, as far as this node still has it. */
export class ImportedEntries {
  readonly #catalog: Catalog

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** undefined: there are none. */
  async tags(repository: Repository): Promise<Imported<string> | undefined> {
    return this.#entries(repository, 'tags', async (body) => {
      const tags: string[] = []
      for (const tag of Buffer.from(body).toString().split('\n')) {
        const record = await this.#catalog.tag(repository, tag)
        // Once upstream has named another digest, the tag is listed as long as upstream lists it.
        if (record?.importedAt !== undefined) tags.push(tag)
      }
      return tags
    })
  }

  /** undefined: there are none. */
  async referrers(repository: Repository, subject: Digest): Promise<Imported<ListedReferrer> | undefined> {
    return this.#entries(repository, `referrers/${subject}`, async (body) => {
      const listed = descriptorsIn(body)
      const digests = listed.map(({ digest }) => parseDigest(digest)).filter((digest) => digest !== undefined)
      const known = new Set<string>(await this.#catalog.filterKnown(repository, digests))
      return listed.filter(({ digest }) => known.has(digest))
    })
  }

  async #entries<Entry>(
    repository: Repository,
    topic: string,
    entriesIn: (body: Uint8Array) => Promise<readonly Entry[]>,
  ): Promise<Imported<Entry> | undefined> {
    const list = await this.#catalog.cachedList(repository, importedTopic(topic))
    if (list === undefined) return undefined
    const entries = await entriesIn(list.body)
    return entries.length === 0 ? undefined : { entries, importedAt: list.checkedAt }
  }
}
