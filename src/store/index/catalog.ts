import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Repository, repositoryFromKey, repositoryKey } from '../../oci/names/repository.ts'
import type { CachedList, Catalog, TagRecord } from '../../ports/catalog.ts'
import { type Database, keysUnder, pages, SEPARATOR } from '../database/database.ts'
import { knownNameKey, putKnownName } from './known-names.ts'

const StoredTag = v.object({
  digest: v.string(),
  mediaType: v.optional(v.string()),
  checkedAt: v.number(),
  importedAt: v.optional(v.number()),
})
/**
 * A cached list begins with the time at which it was fetched, a float of 8 bytes; the body follows unchanged. The time is
 * negative if an import has made the list.
 */
const TIME_BYTES = 8

/** A tag as it is listed for people. */
export interface KnownTag extends TagRecord {
  readonly repository: Repository
  readonly tag: string
}

/** The catalog of names in LevelDB. Writes are not synced: what a power cut removes is fetched again. */
export class LevelCatalog implements Catalog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async tag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    const text: string | undefined = await this.#database.get(tagKey(repository, tag))
    return text === undefined ? undefined : decodeTag(text)
  }

  async rememberTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    const { digest, mediaType, checkedAt, importedAt } = record
    await this.#database
      .batch()
      .put(tagKey(repository, tag), JSON.stringify({ digest, mediaType, checkedAt, importedAt }))
      .put(repositoryListKey(repository), '')
      .write()
  }

  async forgetTag(repository: Repository, tag: string): Promise<void> {
    await this.#database.del(tagKey(repository, tag))
  }

  async cachedList(repository: Repository, topic: string): Promise<CachedList | undefined> {
    const stored: Uint8Array | undefined = await this.#database.get<string, Uint8Array>(
      listKey(repository, topic),
      { valueEncoding: 'view' },
    )
    if (stored === undefined || stored.length < TIME_BYTES) return undefined
    const time = new DataView(stored.buffer, stored.byteOffset).getFloat64(0)
    const body = stored.subarray(TIME_BYTES)
    return { body, checkedAt: time }
  }

  async rememberList(repository: Repository, topic: string, list: CachedList): Promise<void> {
    const value = new Uint8Array(TIME_BYTES + list.body.length)
    new DataView(value.buffer).setFloat64(0, list.checkedAt)
    value.set(list.body, TIME_BYTES)
    await this.#database
      .batch()
      .put<string, Uint8Array>(listKey(repository, topic), value, { valueEncoding: 'view' })
      .put(repositoryListKey(repository), '')
      .write()
  }

  async rememberKnownName(repository: Repository, digest: Digest): Promise<void> {
    const batch = this.#database.batch()
    putKnownName(batch, repository, digest)
    await batch.write()
  }

  async filterKnown(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]> {
    if (digests.length === 0) return []
    const name = repositoryKey(repository)
    const values = await this.#database.getMany(digests.map((digest) => knownNameKey(digest, name)))
    return digests.filter((_, at) => values[at] !== undefined)
  }

  async rememberCredentialed(repository: Repository): Promise<void> {
    await this.#database.put(credentialedKey(repository), '')
  }

  async forgetCredentialed(repository: Repository): Promise<void> {
    await this.#database.del(credentialedKey(repository))
  }

  credentialed(): Promise<readonly Repository[]> {
    return this.#listed('credentialed')
  }

  repositories(): Promise<readonly Repository[]> {
    return this.#listed('repository')
  }

  /** Lists all known tags, or those of one repository. */
  async *tags(repository?: Repository): AsyncGenerator<KnownTag> {
    const range = repository === undefined ? keysUnder('tag') : keysUnder('tag', repositoryKey(repository))
    for await (const [key, text] of pages(this.#database, range)) {
      const [, name = '', tag = ''] = key.split(SEPARATOR)
      const record = decodeTag(text)
      const of = repositoryFromKey(name)
      if (record !== undefined && of !== undefined) yield { repository: of, tag, ...record }
    }
  }

  async #listed(kind: 'repository' | 'credentialed'): Promise<readonly Repository[]> {
    const keys = await this.#database.keys(keysUnder(kind)).all()
    return keys.flatMap((key) => repositoryFromKey(key.slice(key.indexOf(SEPARATOR) + 1)) ?? [])
  }
}

function tagKey(repository: Repository, tag: string): string {
  return ['tag', repositoryKey(repository), tag].join(SEPARATOR)
}

function listKey(repository: Repository, topic: string): string {
  return ['heard', repositoryKey(repository), topic].join(SEPARATOR)
}

function repositoryListKey(repository: Repository): string {
  return ['repository', repositoryKey(repository)].join(SEPARATOR)
}

function credentialedKey(repository: Repository): string {
  return ['credentialed', repositoryKey(repository)].join(SEPARATOR)
}

function decodeTag(text: string): TagRecord | undefined {
  const parsed = v.safeParse(StoredTag, parseJson(text))
  if (!parsed.success) return undefined
  const { mediaType, checkedAt, importedAt } = parsed.output
  const digest = parseDigest(parsed.output.digest)
  if (digest === undefined) return undefined
  return { digest, mediaType, checkedAt, ...(importedAt === undefined ? {} : { importedAt }) }
}
