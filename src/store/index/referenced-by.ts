import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type BatchWrite, type Database, keysUnder, SEPARATOR } from '../database/database.ts'

interface BatchChanges {
  put(key: string, value: string): unknown
  del(key: string): unknown
}

type ReferencesOf = (manifest: Digest) => Promise<readonly Digest[]>

const PAGE_SIZE = 1000
/** This key says that the index has the references of every stored manifest. Indexes of the first versions had none. */
const COMPLETE_KEY = 'needed'

/** Which stored manifests reference a digest: the references of each manifest, stored in the opposite direction. */
export class ReferencedBy {
  readonly #database: Database
  readonly #referencesOf: ReferencesOf
  #completion: Promise<void> | undefined

  constructor(database: Database, childrenOf: ReferencesOf) {
    this.#database = database
    this.#referencesOf = childrenOf
  }

  /** Lists at most `most` stored manifests that reference `digest`. */
  async manifestsOf(digest: Digest, most: number): Promise<readonly Digest[]> {
    if (most <= 0) return []
    await this.ensureComplete()
    const keys = await this.#database.keys({ ...keysUnder('needed', digest), limit: most }).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  add(changes: BatchChanges, manifest: Digest, references: readonly Digest[]): void {
    for (const each of references) changes.put(neededKey(each, manifest), '')
  }

  /** Removes what `add` has stored. Does nothing for a blob, which references nothing. */
  async remove(changes: BatchChanges, manifest: Digest): Promise<void> {
    for (const each of await this.#referencesOf(manifest)) changes.del(neededKey(each, manifest))
  }

  /** Resolves when the references of every stored manifest are known. */
  ensureComplete(): Promise<void> {
    this.#completion ??= this.#complete().catch((error: unknown) => {
      this.#completion = undefined
      throw error
    })
    return this.#completion
  }

  async #complete(): Promise<void> {
    const marker: string | undefined = await this.#database.get(COMPLETE_KEY)
    if (marker !== undefined) return
    const keys = this.#database.keys(keysUnder('children'))
    try {
      for (let page = await keys.nextv(PAGE_SIZE); page.length > 0; page = await keys.nextv(PAGE_SIZE)) {
        for (const key of page) {
          const manifest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
          if (manifest !== undefined) await this.#addExisting(manifest)
        }
      }
    } finally {
      await keys.close()
    }
    await this.#database.put(COMPLETE_KEY, '1')
  }

  async #addExisting(manifest: Digest): Promise<void> {
    const references = await this.#referencesOf(manifest)
    await this.#database.batch(
      references.map((each): BatchWrite => ({ type: 'put', key: neededKey(each, manifest), value: '' })),
    )
  }
}

function neededKey(digest: Digest, manifest: Digest): string {
  return ['needed', digest, manifest].join(SEPARATOR)
}
