import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { CachedList, Catalog, TagRecord } from '../../src/ports/catalog.ts'

/** The twin of the catalog in LevelDB. */
export class MemoryCatalog implements Catalog {
  /** The known names: `docker.io/library/alpine` → digests. */
  readonly knownIn = new Map<string, Set<Digest>>()
  readonly #tags = new Map<string, TagRecord>()
  readonly #lists = new Map<string, CachedList>()
  readonly #credentialed = new Map<string, Repository>()
  readonly #repositories = new Map<string, Repository>()

  async tag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#tags.get(`${repositoryKey(repository)} ${tag}`)
  }

  async rememberTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    this.#addRepository(repository)
    this.#tags.set(`${repositoryKey(repository)} ${tag}`, { ...record })
  }

  async forgetTag(repository: Repository, tag: string): Promise<void> {
    this.#tags.delete(`${repositoryKey(repository)} ${tag}`)
  }

  async cachedList(repository: Repository, topic: string): Promise<CachedList | undefined> {
    return this.#lists.get(`${repositoryKey(repository)} ${topic}`)
  }

  async rememberList(repository: Repository, topic: string, list: CachedList): Promise<void> {
    this.#addRepository(repository)
    this.#lists.set(`${repositoryKey(repository)} ${topic}`, { ...list, body: Uint8Array.from(list.body) })
  }

  async rememberKnownName(repository: Repository, digest: Digest): Promise<void> {
    this.#addRepository(repository)
    this.knownIn.get(repositoryKey(repository))?.add(digest)
  }

  async filterKnown(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]> {
    const known = this.knownIn.get(repositoryKey(repository))
    return digests.filter((digest) => known?.has(digest))
  }

  async rememberCredentialed(repository: Repository): Promise<void> {
    this.#credentialed.set(repositoryKey(repository), { ...repository })
  }

  async forgetCredentialed(repository: Repository): Promise<void> {
    this.#credentialed.delete(repositoryKey(repository))
  }

  async credentialed(): Promise<readonly Repository[]> {
    const keys = [...this.#credentialed.keys()].sort()
    return keys.flatMap((key) => this.#credentialed.get(key) ?? [])
  }

  async repositories(): Promise<readonly Repository[]> {
    const keys = [...this.#repositories.keys()].sort()
    return keys.flatMap((key) => this.#repositories.get(key) ?? [])
  }

  #addRepository(repository: Repository): void {
    const key = repositoryKey(repository)
    if (this.#repositories.has(key)) return
    this.#repositories.set(key, { registry: repository.registry, name: repository.name })
    this.knownIn.set(key, new Set())
  }
}
