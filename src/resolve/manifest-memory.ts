import type { Digest } from '../oci/digest.ts'

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/** The manifests used last, as long as they fit: they are asked for far more often than anything else. */
export class ManifestMemory {
  readonly #limit: number
  readonly #manifests = new Map<Digest, Manifest>()
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  get(digest: Digest): Manifest | undefined {
    const manifest = this.#manifests.get(digest)
    if (manifest !== undefined) {
      this.#manifests.delete(digest)
      this.#manifests.set(digest, manifest)
    }
    return manifest
  }

  put(manifest: Manifest): void {
    if (manifest.bytes.length > this.#limit / 4) return
    this.drop(manifest.digest)
    this.#manifests.set(manifest.digest, manifest)
    this.#bytes += manifest.bytes.length
    for (const oldest of this.#manifests.keys()) {
      if (this.#bytes <= this.#limit) break
      this.drop(oldest)
    }
  }

  drop(digest: Digest): void {
    const manifest = this.#manifests.get(digest)
    if (manifest === undefined) return
    this.#manifests.delete(digest)
    this.#bytes -= manifest.bytes.length
  }
}
