import { createHash, randomBytes } from 'node:crypto'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts'

const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar'

export interface Item {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export interface ImageAdded {
  readonly manifest: Digest
  readonly config: Digest
  readonly layers: readonly Digest[]
}

interface Referrer {
  readonly digest: Digest
  readonly item: Item
  readonly artifactType: unknown
}

export function sha256(bytes: Uint8Array | string): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  if (digest === undefined) throw new Error('not a digest')
  return digest
}

/** What the registry has: blobs, manifests, tags and referrers. */
export class RegistryContent {
  readonly #blobs = new Map<string, Item>()
  readonly #repositoryOf = new Map<string, string>()
  readonly #manifests = new Map<string, Item>()
  readonly #tags = new Map<string, Map<string, Digest>>()
  readonly #referrers = new Map<string, Referrer[]>()

  addBlob(bytes: Uint8Array): Digest {
    const digest = sha256(bytes)
    this.#blobs.set(digest, { bytes, mediaType: 'application/octet-stream' })
    return digest
  }

  keepIn(repo: string, digests: readonly Digest[]): void {
    for (const digest of digests) this.#repositoryOf.set(digest, repo)
  }

  addManifest(
    repo: string,
    tag: string | undefined,
    content: Uint8Array | string,
    mediaType = OCI_MANIFEST,
  ): Digest {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const digest = sha256(bytes)
    const item = { bytes, mediaType }
    this.#manifests.set(`${repo}@${digest}`, item)
    if (!this.#tags.has(repo)) this.#tags.set(repo, new Map())
    if (tag !== undefined) this.addTag(repo, tag, digest)
    const { subject, artifactType } = parseReferrer(bytes)
    if (subject !== undefined) {
      const key = `${repo}@${subject}`
      this.#referrers.set(key, [...(this.#referrers.get(key) ?? []), { digest, item, artifactType }])
    }
    return digest
  }

  addTag(repo: string, tag: string, digest: Digest): void {
    const tags = this.#tags.get(repo) ?? new Map<string, Digest>()
    tags.set(tag, digest)
    this.#tags.set(repo, tags)
  }

  addImage(repo: string, tag: string, layers: readonly Uint8Array[] = [randomBytes(1000)]): ImageAdded {
    const digests = layers.map((layer) => this.addBlob(layer))
    const rootfs = { type: 'layers', diff_ids: digests }
    const configBytes = Buffer.from(
      JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }),
    )
    const config = this.addBlob(configBytes)
    const content = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: config, size: configBytes.length },
      layers: layers.map((layer, i) => ({ mediaType: OCI_LAYER, digest: digests[i], size: layer.length })),
    }
    return { manifest: this.addManifest(repo, tag, JSON.stringify(content)), config, layers: digests }
  }

  blob(repo: string, digest: string): Item | undefined {
    return (this.#repositoryOf.get(digest) ?? repo) === repo ? this.#blobs.get(digest) : undefined
  }

  /** `reference` is a tag or a digest. */
  manifest(repo: string, reference: string): { digest: Digest; item: Item } | undefined {
    const digest = parseDigest(reference) ?? this.#tags.get(repo)?.get(reference)
    const item = digest === undefined ? undefined : this.#manifests.get(`${repo}@${digest}`)
    return digest === undefined || item === undefined ? undefined : { digest, item }
  }

  /** Sorted; undefined when nothing was pushed to the repository. */
  tags(repo: string): readonly string[] | undefined {
    const tags = this.#tags.get(repo)
    return tags === undefined ? undefined : [...tags.keys()].sort()
  }

  /** The index of what refers to the digest. */
  referrers(repo: string, digest: string): Item {
    const found = this.#referrers.get(`${repo}@${digest}`) ?? []
    const manifests = found.map(({ digest, item, artifactType }) => ({
      mediaType: item.mediaType,
      digest,
      size: item.bytes.length,
      artifactType,
    }))
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
    return { bytes: Buffer.from(JSON.stringify(index)), mediaType: OCI_INDEX }
  }
}

function parseReferrer(bytes: Uint8Array): { subject?: string | undefined; artifactType?: unknown } {
  try {
    const parsed: { subject?: { digest?: string }; artifactType?: unknown } | null = JSON.parse(
      Buffer.from(bytes).toString(),
    )
    return { subject: parsed?.subject?.digest, artifactType: parsed?.artifactType }
  } catch {
    // Tests also store manifests that are not JSON.
    return {}
  }
}
