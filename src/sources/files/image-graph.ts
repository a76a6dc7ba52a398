import { BoundedMap } from '../../lib/bounded-map.ts'
import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import {
  childrenOf,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestTypeOf,
  parseManifest,
} from '../../oci/manifest.ts'
import { type FileRange, readRange } from './file-tree.ts'
import { wrongFile } from './file-verifier.ts'

/** Where a layout has the bytes of a digest. */
export type Locate = (digest: Digest) => Promise<FileRange | undefined>

/** A content of an image. */
export interface Part {
  readonly kind: 'manifest' | 'blob'
  readonly descriptor: Descriptor
}

const MOST_MANIFESTS = 2_000

/** Reads manifests of a layout and follows what they reference. */
export class ImageGraph {
  /** Manifests by digest, which never change. */
  readonly #manifests = new BoundedMap<Digest, Manifest>(MOST_MANIFESTS)

  /** Checks the digest. undefined: the layout does not have it, or it is no manifest. */
  async manifest(digest: Digest, locate: Locate, mediaType?: string): Promise<Manifest | undefined> {
    const known = this.#manifests.get(digest)
    if (known !== undefined) return known
    const range = await locate(digest)
    if (range === undefined || range.size > MAX_MANIFEST_BYTES) return undefined
    const bytes = await readRange(range, MAX_MANIFEST_BYTES)
    const algorithm = algorithmOf(digest)
    const found = digestOf(bytes, algorithm)
    if (found !== digest) throw wrongFile(range, digest, found)
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok) return undefined
    this.#manifests.set(digest, manifest.value)
    return manifest.value
  }

  /** Why a manifest that the layout has cannot be used; undefined: there is none, or it can be used. */
  async problem(digest: Digest, locate: Locate, mediaType?: string): Promise<string | undefined> {
    const range = await locate(digest)
    if (range === undefined) return undefined
    if (range.size > MAX_MANIFEST_BYTES) return `a manifest has ${range.size} bytes`
    const manifest = parseManifest(await readRange(range, MAX_MANIFEST_BYTES), mediaType)
    return manifest.ok ? undefined : manifest.problem
  }

  /** Everything that these images consist of, the roots included. What an index lists and the layout lacks is left out. */
  async parts(roots: readonly Descriptor[], locate: Locate): Promise<ReadonlyMap<Digest, Part>> {
    const parts = new Map<Digest, Part>()
    const queue = [...roots]
    for (let root = queue.pop(); root !== undefined; root = queue.pop()) {
      if (parts.has(root.digest)) continue
      const manifest = await this.manifest(root.digest, locate, root.mediaType)
      if (manifest === undefined) continue
      parts.set(root.digest, {
        kind: 'manifest',
        descriptor: { ...root, mediaType: manifestTypeOf(root.mediaType, manifest) },
      })
      for (const child of childrenOf(manifest)) {
        if (manifest.manifests.includes(child)) queue.push(child)
        else parts.set(child.digest, { kind: 'blob', descriptor: child })
      }
    }
    return parts
  }

  /** The configs of an image, or of all images of an index that the layout has. */
  async configs(root: Descriptor, locate: Locate): Promise<readonly Digest[]> {
    const found: Digest[] = []
    for (const { kind, descriptor } of (await this.parts([root], locate)).values()) {
      if (kind !== 'manifest') continue
      const manifest = await this.manifest(descriptor.digest, locate, descriptor.mediaType)
      if (manifest?.config !== undefined) found.push(manifest.config.digest)
    }
    return found
  }

  /** The manifests among `parts` whose subject is `subject`, as a list of referrers describes them. */
  async referrers(
    parts: ReadonlyMap<Digest, Part>,
    subject: Digest,
    locate: Locate,
  ): Promise<readonly Descriptor[]> {
    const found: Descriptor[] = []
    for (const { kind, descriptor } of parts.values()) {
      if (kind !== 'manifest') continue
      const manifest = await this.manifest(descriptor.digest, locate, descriptor.mediaType)
      if (manifest?.subject?.digest !== subject) continue
      const artifactType = manifest.artifactType ?? manifest.config?.mediaType
      found.push({ ...descriptor, artifactType, annotations: manifest.annotations })
    }
    return found
  }
}
