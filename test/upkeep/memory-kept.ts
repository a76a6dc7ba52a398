import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { Kept } from '../../src/upkeep/kept.ts'
import { ALPINE, digestOf } from '../observe/memory-node.ts'

interface Held {
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly references: readonly Digest[]
}

/** A store as far as its upkeep goes: what a test puts into it, each blob as large as its name is long. */
export class MemoryKept implements Kept {
  readonly held = new Map<Digest, Held>()
  readonly pinned = new Set<Digest>()
  readonly rotten = new Map<Digest, string>()
  readonly remembered = new Map<string, { repository: Repository; tag: string; digest: Digest }>()
  readonly seen = new Map<Digest, Repository[]>()
  /** Called before each step that takes long. */
  onStep: (signal: AbortSignal) => Promise<void> | void = () => {}

  put(name: string, references?: readonly string[]): Digest {
    const digest = digestOf(name)
    const kind = references === undefined ? 'blob' : 'manifest'
    this.held.set(digest, { size: name.length, kind, references: (references ?? []).map(digestOf) })
    return digest
  }

  tagAs(tag: string, name: string, repository: Repository = ALPINE): void {
    this.remembered.set(`${repositoryKey(repository)}:${tag}`, { repository, tag, digest: digestOf(name) })
  }

  /** Names of what is held, of those given. */
  holds(...names: string[]): string[] {
    return names.filter((name) => this.held.has(digestOf(name)))
  }

  readonly blobs = { facts: async (digest: Digest) => this.held.get(digest) }

  readonly catalog = {
    tag: async (repository: Repository, tag: string) =>
      this.remembered.get(`${repositoryKey(repository)}:${tag}`),
    forgetTag: async (repository: Repository, tag: string) => {
      this.remembered.delete(`${repositoryKey(repository)}:${tag}`)
    },
  }

  usage(): { bytes: number; blobs: number } {
    const bytes = [...this.held.values()].reduce((sum, { size }) => sum + size, 0)
    return { bytes, blobs: this.held.size }
  }

  async *list(): AsyncGenerator<{ digest: Digest; kind: 'manifest' | 'blob' }> {
    for (const [digest, { kind }] of this.held) yield { digest, kind }
  }

  async *tags(): AsyncGenerator<{ repository: Repository; tag: string; digest: Digest }> {
    yield* [...this.remembered.values()]
  }

  async repositoriesOf(digest: Digest): Promise<readonly Repository[]> {
    return this.seen.get(digest) ?? []
  }

  async references(manifest: Digest): Promise<readonly Digest[]> {
    return this.held.get(manifest)?.references ?? []
  }

  async gc({ toBytes = 10, signal }: { toBytes?: number; signal: AbortSignal }) {
    const gone = { blobs: 0, bytes: 0 }
    for (const [digest, { size }] of this.held) {
      await this.onStep(signal)
      signal.throwIfAborted()
      if (this.usage().bytes <= toBytes) break
      if ((await this.pinsOf(digest)).length > 0) continue
      this.held.delete(digest)
      gone.blobs += 1
      gone.bytes += size
    }
    return gone
  }

  async pin(digest: Digest): Promise<void> {
    this.pinned.add(digest)
  }

  async unpin(digest: Digest): Promise<void> {
    this.pinned.delete(digest)
  }

  async *pins(): AsyncGenerator<{ digest: Digest }> {
    for (const digest of this.pinned) yield { digest }
  }

  async isPinned(digest: Digest): Promise<boolean> {
    return this.pinned.has(digest)
  }

  async pinsOf(digest: Digest): Promise<readonly Digest[]> {
    return [...this.pinned].filter((pin) => pin === digest || this.#needs(pin, digest))
  }

  async remove(digest: Digest): Promise<boolean> {
    if ((await this.pinsOf(digest)).length > 0) return false
    return this.held.delete(digest)
  }

  async *verify({
    signal,
    onProgress,
  }: {
    signal: AbortSignal
    bytesPerSecond?: number | undefined
    onProgress?: (bytes: number) => void
  }) {
    for (const [digest, { size }] of this.held) {
      await this.onStep(signal)
      signal.throwIfAborted()
      onProgress?.(size)
      const found = this.rotten.get(digest)
      if (found !== undefined) this.held.delete(digest)
      yield { digest, size, ok: found === undefined, found }
    }
  }

  #needs(manifest: Digest, part: Digest): boolean {
    const references = this.held.get(manifest)?.references ?? []
    return references.some((each) => each === part || this.#needs(each, part))
  }
}
