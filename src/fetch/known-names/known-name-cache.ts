import type { Digest } from '../../oci/digest.ts'
import { isSameRepository, type Repository } from '../../oci/names/repository.ts'

/** How many pairs the younger generation has; the older one has as many. */
const GENERATION_PAIRS = 5000
/** For further repositories of the same digest, such as the empty layer, the index is read. */
const MAX_REPOSITORIES_PER_DIGEST = 16

/**
 * A bounded set of known names, which forgets those that were not asked for longest. Every request asks it, so it is a map
 * by digest, whose hash the engine has computed already, and builds no key of repository and digest.
 */
export class KnownNameCache {
  #young = new Map<Digest, Repository[]>()
  #old = new Map<Digest, Repository[]>()
  #pairs = 0

  has(repository: Repository, digest: Digest): boolean {
    if (includesRepository(this.#young.get(digest), repository)) return true
    if (!includesRepository(this.#old.get(digest), repository)) return false
    this.add(repository, digest)
    return true
  }

  add(repository: Repository, digest: Digest): void {
    if (includesRepository(this.#young.get(digest), repository)) return
    if (this.#pairs === GENERATION_PAIRS) {
      this.#old = this.#young
      this.#young = new Map()
      this.#pairs = 0
    }
    const names = this.#young.get(digest) ?? []
    names.push(repository)
    this.#young.set(digest, names)
    if (names.length > MAX_REPOSITORIES_PER_DIGEST) names.shift()
    else this.#pairs += 1
  }

  drop(digest: Digest): void {
    this.#pairs -= this.#young.get(digest)?.length ?? 0
    this.#young.delete(digest)
    this.#old.delete(digest)
  }
}

function includesRepository(names: readonly Repository[] | undefined, repository: Repository): boolean {
  if (names === undefined) return false
  for (const known of names) if (isSameRepository(known, repository)) return true
  return false
}
