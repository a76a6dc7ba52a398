import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { WarmTarget } from '../../src/warm/content/warm-target.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'

/** A node in memory. Everything counts as stored, except what a test puts into `evicted`. */
export class MemoryTarget implements WarmTarget {
  readonly resolver = new MemoryResolver()
  readonly defaultNamespace = 'docker.io'
  readonly evicted = new Set<Digest>()
  readonly tags = new Map<string, Digest>()
  readonly pinned = new Set<Digest>()
  limit: number | undefined

  allowed({ registry }: Repository): boolean {
    return registry !== 'forbidden.test'
  }

  async stored(digest: Digest): Promise<{ readonly size: number } | undefined> {
    return this.evicted.has(digest) ? undefined : { size: 1 }
  }

  flight(): undefined {
    return undefined
  }

  forget(): void {}

  async tag(repository: Repository, tag: string): Promise<{ readonly digest: Digest } | undefined> {
    const digest = this.tags.get(`${repositoryKey(repository)}:${tag}`)
    return digest && { digest }
  }

  tagTtlMs(): number {
    return 60_000
  }

  limitBytes(): number | undefined {
    return this.limit
  }

  async pin(digest: Digest): Promise<void> {
    this.pinned.add(digest)
  }

  async unpin(digest: Digest): Promise<void> {
    this.pinned.delete(digest)
  }
}
