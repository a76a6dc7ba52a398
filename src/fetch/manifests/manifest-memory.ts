import type { Digest } from '../../oci/digest.ts'

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

interface Kept {
  readonly manifest: Manifest
  /** Asked for since eviction last came by. */
  used: boolean
}

/**
 * Manifests that are asked for, as long as they fit: nothing else is asked for as often. Whoever was used since
 * eviction last came by gets a second chance, so that a hit costs a look and no reordering.
 */
export class ManifestMemory {
  readonly #limit: number
  readonly #kept = new Map<Digest, Kept>()
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  get(digest: Digest): Manifest | undefined {
    const kept = this.#kept.get(digest)
    if (kept === undefined) return undefined
    kept.used = true
    return kept.manifest
  }

  put(manifest: Manifest): void {
    if (manifest.bytes.length > this.#limit / 4) return
    this.drop(manifest.digest)
    this.#kept.set(manifest.digest, { manifest, used: false })
    this.#bytes += manifest.bytes.length
    for (const [digest, kept] of this.#kept) {
      if (this.#bytes <= this.#limit) break
      if (!kept.used) {
        this.drop(digest)
        continue
      }
      kept.used = false
      this.#kept.delete(digest)
      this.#kept.set(digest, kept)
    }
  }

  drop(digest: Digest): void {
    const kept = this.#kept.get(digest)
    if (kept === undefined) return
    this.#kept.delete(digest)
    this.#bytes -= kept.manifest.bytes.length
  }
}
