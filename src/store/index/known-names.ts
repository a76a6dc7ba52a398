import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { type Database, keysUnder, SEPARATOR } from '../database/database.ts'

/** Most digests are known in fewer repositories than this, so that one lookup finds all keys to remove. */
const PAGE_SIZE = 32

/** Adds a known name: this node may serve the digest under the repository. */
export function putKnownName(
  batch: { put(key: string, value: string): unknown },
  repository: Repository,
  digest: Digest,
): void {
  const key = repositoryKey(repository)
  batch.put(knownNameKey(digest, key), '')
  batch.put(`repository${SEPARATOR}${key}`, '')
}

/** Makes the key of a known name. `repository` is written as by `repositoryKey`. */
export function knownNameKey(digest: Digest, repository: string): string {
  return ['holder', digest, repository].join(SEPARATOR)
}

/** Lists the repositories of a digest's known names, such as `docker.io/library/alpine`, in ASCII order. */
export async function repositoryKeysOf(database: Database, digest: Digest): Promise<readonly string[]> {
  const keys = await database.keys(keysUnder('holder', digest)).all()
  return keys.map((key) => key.slice(key.lastIndexOf(SEPARATOR) + 1))
}

/** Removes the known names of a digest that is no longer stored: their number would only ever grow otherwise. */
export async function removeKnownNames(
  database: Database,
  changes: { del(key: string): unknown },
  digest: Digest,
): Promise<void> {
  const { gte: start, lt } = keysUnder('holder', digest)
  let gte = start
  for (let isMore = true; isMore; ) {
    const keys = await database.keys({ gte, lt, limit: PAGE_SIZE }).all()
    for (const key of keys) changes.del(key)
    isMore = keys.length === PAGE_SIZE
    // No key lies between the last one and this.
    gte = `${keys.at(-1)}${SEPARATOR}`
  }
}
