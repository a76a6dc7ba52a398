import type { Digest } from '../../oci/digest.ts'

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

interface Entry {
  readonly manifest: Manifest
  /** Whether the manifest was asked for since eviction last looked at it. */
  isUsed: boolean
}

/**
 * Manifests in memory, because clients ask for nothing else as often. A manifest that was used since eviction last looked
 * at it gets a second chance, so that a hit only sets a flag and reorders nothing.
 */
export class ManifestMemory {
  readonly #limit: number
  readonly #entries = new Map<Digest, Entry>()
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  get(digest: Digest): Manifest | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return undefined
    entry.isUsed = true
    return entry.manifest
  }

  put(manifest: Manifest): void {
    if (manifest.bytes.length > this.#limit / 4) return
    this.drop(manifest.digest)
    this.#entries.set(manifest.digest, { manifest, isUsed: false })
    this.#bytes += manifest.bytes.length
    for (const [digest, entry] of this.#entries) {
      if (this.#bytes <= this.#limit) break
      if (!entry.isUsed) {
        this.drop(digest)
        continue
      }
      entry.isUsed = false
      this.#entries.delete(digest)
      this.#entries.set(digest, entry)
    }
  }

  drop(digest: Digest): void {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return
    this.#entries.delete(digest)
    this.#bytes -= entry.manifest.bytes.length
  }
}
