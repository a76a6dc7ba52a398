import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, type Operation, SEPARATOR } from './database.ts'

interface Changes {
  put(key: string, value: string): unknown
  del(key: string): unknown
}

type ChildrenOf = (manifest: Digest) => Promise<readonly Digest[]>

const PAGE = 1000
/** Says that the index knows this of every stored manifest; those of the first versions did not. */
const WHOLE = 'needed'

/** Which stored manifests reference a digest: what the index says of each manifest, the other way round. */
export class Needs {
  readonly #database: Database
  readonly #childrenOf: ChildrenOf
  #whole: Promise<void> | undefined

  constructor(database: Database, childrenOf: ChildrenOf) {
    this.#database = database
    this.#childrenOf = childrenOf
  }

  /** At most so many of them. */
  async of(digest: Digest, most: number): Promise<readonly Digest[]> {
    if (most <= 0) return []
    await this.whole()
    const keys = await this.#database.keys({ ...keysUnder('needed', digest), limit: most }).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  enter(changes: Changes, manifest: Digest, references: readonly Digest[]): void {
    for (const each of references) changes.put(neededKey(each, manifest), '')
  }

  /** Nothing for a blob, which references nothing. */
  async leave(changes: Changes, manifest: Digest): Promise<void> {
    for (const each of await this.#childrenOf(manifest)) changes.del(neededKey(each, manifest))
  }

  /** Resolves when every stored manifest is known here. */
  whole(): Promise<void> {
    this.#whole ??= this.#makeWhole().catch((error: unknown) => {
      this.#whole = undefined
      throw error
    })
    return this.#whole
  }

  async #makeWhole(): Promise<void> {
    const said: string | undefined = await this.#database.get(WHOLE)
    if (said !== undefined) return
    const keys = this.#database.keys(keysUnder('children'))
    try {
      for (let page = await keys.nextv(PAGE); page.length > 0; page = await keys.nextv(PAGE)) {
        for (const key of page) {
          const manifest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
          if (manifest !== undefined) await this.#enterOld(manifest)
        }
      }
    } finally {
      await keys.close()
    }
    await this.#database.put(WHOLE, '1')
  }

  async #enterOld(manifest: Digest): Promise<void> {
    const references = await this.#childrenOf(manifest)
    await this.#database.batch(
      references.map((each): Operation => ({ type: 'put', key: neededKey(each, manifest), value: '' })),
    )
  }
}

function neededKey(digest: Digest, manifest: Digest): string {
  return ['needed', digest, manifest].join(SEPARATOR)
}
