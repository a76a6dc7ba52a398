import type { Digest } from '../../../src/oci/digest.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'

/** What the store on disk is compared with: the same content in memory, the pins and the partials. */
export class Model {
  /** The operations on the model in memory. */
  readonly memory = new MemoryStore()
  /** What each pin retains: the digest itself and all that it references, once that is known. */
  readonly pins = new Map<Digest, Set<Digest>>()
  /** The sizes of partials that unfinished transfers have left. */
  readonly partials = new Map<Digest, number>()

  pin(digest: Digest): void {
    if (this.pins.has(digest)) return
    this.pins.set(digest, new Set([digest]))
    this.extendPins()
  }

  /** Extends each pin to all that is reachable from it. */
  extendPins(): void {
    for (const retained of this.pins.values()) {
      // The loop also visits digests that are added meanwhile.
      for (const digest of retained) {
        for (const child of this.memory.stored.get(digest)?.references ?? []) retained.add(child)
      }
    }
  }

  pinsOf(digest: Digest): Digest[] {
    return [...this.pins].flatMap(([pin, retained]) => (retained.has(digest) ? pin : [])).sort()
  }

  isRetained(digest: Digest): boolean {
    return this.pinsOf(digest).length > 0
  }
}
