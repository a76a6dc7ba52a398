import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from '../database/database.ts'

/** Digests that are known to have been used, so that most uses need no lookup. */
const MOST_KNOWN = 10_000
const PAGE_SIZE = 1000

/** Which manifests a client has used since they were stored. Nothing is noted unless somebody asks. */
export class FirstUse {
  readonly #database: Database
  readonly #known = new BoundedMap<Digest, true>(MOST_KNOWN)

  constructor(database: Database) {
    this.#database = database
  }

  /** Notes a use. False: it is not the first one. */
  async mark(digest: Digest): Promise<boolean> {
    if (this.#known.has(digest)) return false
    this.#known.set(digest, true)
    const noted: string | undefined = await this.#database.get(key(digest))
    if (noted !== undefined) return false
    // The manifest may not be stored yet, or never be.
    await this.#database.put(key(digest), '')
    return true
  }

  /** The content is dropped: its next use is a first one again. */
  async forget(digest: Digest): Promise<void> {
    this.#known.delete(digest)
    await this.#database.del(key(digest))
  }

  /** Forgets what was noted of contents that are not stored. To be called before the first `mark`. */
  async sweep(areStored: (digests: readonly Digest[]) => Promise<readonly boolean[]>): Promise<void> {
    const keys = this.#database.keys(keysUnder('firstuse'))
    try {
      for (let page = await keys.nextv(PAGE_SIZE); page.length > 0; page = await keys.nextv(PAGE_SIZE)) {
        const digests = page.flatMap((text) => parseDigest(text.slice(text.indexOf(SEPARATOR) + 1)) ?? [])
        const stored = await areStored(digests)
        for (const [at, digest] of digests.entries()) if (stored[at] !== true) await this.forget(digest)
      }
    } finally {
      await keys.close()
    }
  }
}

function key(digest: Digest): string {
  return ['firstuse', digest].join(SEPARATOR)
}
