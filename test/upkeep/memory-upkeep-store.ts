import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { UpkeepStore } from '../../src/upkeep/upkeep-store.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'

interface StoredBlob {
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly references: readonly Digest[]
}

/** A store in memory. A test puts blobs into it; each blob has as many bytes as its name has characters. */
export class MemoryUpkeepStore implements UpkeepStore {
  readonly stored = new Map<Digest, StoredBlob>()
  readonly pinned = new Set<Digest>()
  readonly #pinNames = new Map<Digest, readonly string[]>()
  readonly rotten = new Map<Digest, string>()
  readonly tagRecords = new Map<string, { repository: Repository; tag: string; digest: Digest }>()
  readonly seenIn = new Map<Digest, Repository[]>()
  /** The hosted repositories to which contents were pushed. */
  readonly hostedIn = new Map<Digest, Repository[]>()
  /** Called before each step that may take long. */
  onStep: (signal: AbortSignal) => Promise<void> | void = () => {}

  put(name: string, references?: readonly string[]): Digest {
    const digest = digestOf(name)
    const kind = references === undefined ? 'blob' : 'manifest'
    this.stored.set(digest, { size: name.length, kind, references: (references ?? []).map(digestOf) })
    return digest
  }

  tagAs(tag: string, name: string, repository: Repository = ALPINE): void {
    this.tagRecords.set(`${repositoryKey(repository)}:${tag}`, { repository, tag, digest: digestOf(name) })
  }

  /** Gives those of `names` that are stored. */
  storedOf(...names: string[]): string[] {
    return names.filter((name) => this.stored.has(digestOf(name)))
  }

  readonly blobs = { facts: async (digest: Digest) => this.stored.get(digest) }

  readonly catalog = {
    tag: async (repository: Repository, tag: string) =>
      this.tagRecords.get(`${repositoryKey(repository)}:${tag}`),
    forgetTag: async (repository: Repository, tag: string) => {
      this.tagRecords.delete(`${repositoryKey(repository)}:${tag}`)
    },
  }

  readonly hosted = {
    catalog: {
      tag: async () => undefined,
      removeTag: async () => false,
      links: async function* () {},
      repositoriesOf: async (digest: Digest) => this.hostedIn.get(digest) ?? [],
    },
  }

  usage(): { bytes: number; blobs: number } {
    const bytes = [...this.stored.values()].reduce((sum, { size }) => sum + size, 0)
    return { bytes, blobs: this.stored.size }
  }

  async *list(): AsyncGenerator<{ digest: Digest; kind: 'manifest' | 'blob' }> {
    for (const [digest, { kind }] of this.stored) yield { digest, kind }
  }

  async *tags(): AsyncGenerator<{ repository: Repository; tag: string; digest: Digest }> {
    yield* [...this.tagRecords.values()]
  }

  async repositoriesOf(digest: Digest): Promise<readonly Repository[]> {
    return this.seenIn.get(digest) ?? []
  }

  async references(manifest: Digest): Promise<readonly Digest[]> {
    return this.stored.get(manifest)?.references ?? []
  }

  async gc({ toBytes = 10, signal }: { toBytes?: number; signal: AbortSignal }) {
    const evicted = { blobs: 0, bytes: 0 }
    for (const [digest, { size }] of this.stored) {
      await this.onStep(signal)
      signal.throwIfAborted()
      if (this.usage().bytes <= toBytes) break
      if ((await this.pinsOf(digest)).length > 0) continue
      this.stored.delete(digest)
      evicted.blobs += 1
      evicted.bytes += size
    }
    return evicted
  }

  async pin(digest: Digest, name: string = digest): Promise<void> {
    this.pinned.add(digest)
    this.#pinNames.set(digest, [...new Set([...(this.#pinNames.get(digest) ?? []), name])])
  }

  async unpin(digest: Digest, name?: string): Promise<void> {
    const names = (this.#pinNames.get(digest) ?? []).filter((one) => one !== name)
    this.#pinNames.set(digest, names)
    if (name !== undefined && names.length > 0) return
    this.pinned.delete(digest)
    this.#pinNames.delete(digest)
  }

  async *pins(): AsyncGenerator<{ digest: Digest; names: readonly string[] }> {
    for (const digest of this.pinned) yield { digest, names: this.#pinNames.get(digest) ?? [digest] }
  }

  async isPinned(digest: Digest): Promise<boolean> {
    return this.pinned.has(digest)
  }

  async pinsOf(digest: Digest): Promise<readonly Digest[]> {
    return [...this.pinned].filter((pin) => pin === digest || this.#needs(pin, digest))
  }

  async remove(digest: Digest): Promise<boolean> {
    if ((await this.pinsOf(digest)).length > 0) return false
    return this.stored.delete(digest)
  }

  async *verify({
    signal,
    onProgress,
  }: {
    signal: AbortSignal
    bytesPerSecond?: number | undefined
    onProgress?: (bytes: number) => void
  }) {
    for (const [digest, { size }] of this.stored) {
      await this.onStep(signal)
      signal.throwIfAborted()
      onProgress?.(size)
      const found = this.rotten.get(digest)
      if (found !== undefined) this.stored.delete(digest)
      yield { digest, size, ok: found === undefined, found }
    }
  }

  #needs(manifest: Digest, part: Digest): boolean {
    const references = this.stored.get(manifest)?.references ?? []
    return references.some((each) => each === part || this.#needs(each, part))
  }
}
