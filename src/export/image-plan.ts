import { algorithmOf, type Digest } from '../oci/digest.ts'
import { type PlatformSelection, selectFromIndex } from '../oci/index-selection.ts'
import { MAX_MANIFEST_BYTES, type Manifest, manifestTypeOf, parseManifest } from '../oci/manifest.ts'
import { essence } from '../oci/media-types.ts'
import type { Reference } from '../oci/names/reference.ts'
import { platformText } from '../oci/platform.ts'
import { Failure } from '../ports/failure.ts'
import { platformIn } from './config-platform.ts'
import type { ImageReader, ReadManifest } from './readers/image-reader.ts'
import { ReferrerLookup } from './referrer-lookup.ts'
import { ExportError } from './targets/export-error.ts'
import type { BlobPart, ExportImage, ManifestPart } from './targets/target.ts'
import { digestOfBytes } from './targets/verified-bytes.ts'

/** An index may contain indexes, and a referrer may have referrers. Deeper ones are an error. */
const MAX_DEPTH = 4
const MAX_MANIFESTS = 2000
/** The manifests of one image stay in memory until they are written. */
const MAX_BYTES = 16 * MAX_MANIFEST_BYTES

export interface PlanRequest {
  readonly reference: Reference
  readonly selection: PlatformSelection
  readonly referrers: boolean
}

/** A manifest to visit, which may have been read already to find out its digest. */
interface Requested {
  readonly digest: Digest
  readonly read: ReadManifest | undefined
}

/** Reads all manifests of an image, and so finds out what it consists of. */
export async function planImage(
  reader: ImageReader,
  request: PlanRequest,
  { signal }: { signal: AbortSignal },
): Promise<ExportImage> {
  return new ImagePlan(reader, request, signal).run()
}

class ImagePlan {
  readonly #reader: ImageReader
  readonly #request: PlanRequest
  readonly #signal: AbortSignal
  readonly #lookup: ReferrerLookup
  readonly #manifests = new Map<Digest, ManifestPart>()
  readonly #referrers = new Map<Digest, ManifestPart>()
  readonly #tagged = new Map<string, ManifestPart>()
  readonly #blobs = new Map<Digest, BlobPart>()
  readonly #visited = new Set<Digest>()
  #bytes = 0
  #foreign = 0

  constructor(reader: ImageReader, request: PlanRequest, signal: AbortSignal) {
    this.#reader = reader
    this.#request = request
    this.#signal = signal
    this.#lookup = new ReferrerLookup(reader, request.reference.repository, { signal })
  }

  async run(): Promise<ExportImage> {
    const { reference, selection, referrers } = this.#request
    const root = await this.#visit(await this.#root(), selection, 0)
    if (referrers)
      for (const manifest of [...this.#manifests.values()]) await this.#addReferrers(manifest.digest, 1)
    return {
      reference,
      root,
      manifests: [...this.#manifests.values()],
      referrers: [...this.#referrers.values()],
      referrerTags: this.#tagged,
      blobs: [...this.#blobs.values()].filter(({ digest }) => !this.#manifests.has(digest)),
      foreign: this.#foreign,
      referrersProblem: this.#lookup.problem,
    }
  }

  async #root(): Promise<Requested> {
    const { tag, digest } = this.#request.reference
    if (digest !== undefined) return { digest, read: undefined }
    const read = await this.#read(tag ?? 'latest')
    return { digest: digestOf(read), read }
  }

  /** Adds a manifest after all that it lists. */
  async #visit(
    { digest, read }: Requested,
    selection: PlatformSelection,
    depth: number,
  ): Promise<ManifestPart> {
    const known = this.#manifests.get(digest)
    if (known !== undefined) return known
    if (depth > MAX_DEPTH || this.#visited.size >= MAX_MANIFESTS || this.#visited.has(digest)) {
      throw this.#error('has too many manifests, or too many levels of manifests')
    }
    this.#visited.add(digest)
    const { bytes, mediaType } = read ?? (await this.#read(digest))
    this.#bytes += bytes.length
    if (this.#bytes > MAX_BYTES) throw this.#error(`has manifests of more than ${MAX_BYTES} bytes`)
    const found = digestOfBytes(bytes, algorithmOf(digest))
    if (found !== digest) {
      throw this.#error(
        `has a damaged manifest: the bytes of ${digest} have the digest ${found}; copy the image there again`,
      )
    }
    const declared = mediaType === undefined ? undefined : essence(mediaType)
    const parsed = parseManifest(bytes, declared)
    if (!parsed.ok) throw this.#error(`has an unusable manifest ${digest}: ${parsed.problem}`)
    const manifest = parsed.value
    if (manifest.kind === 'index') await this.#visitListed(manifest, selection, depth)
    else this.#addBlobs(manifest)
    if (depth === 0 && manifest.kind === 'image') await this.#checkPlatform(manifest, selection)
    const part: ManifestPart = {
      digest,
      bytes,
      mediaType: manifestTypeOf(declared, manifest),
      artifactType: manifest.artifactType ?? manifest.config?.mediaType,
      annotations: manifest.annotations,
      subject: manifest.subject?.digest,
    }
    this.#manifests.set(digest, part)
    return part
  }

  async #visitListed({ manifests }: Manifest, selection: PlatformSelection, depth: number): Promise<void> {
    const { images, attestations, missing } = selectFromIndex(manifests, selection)
    if (missing.length > 0) {
      const named = manifests.flatMap(({ platform }) =>
        platform === undefined ? [] : platformText(platform),
      )
      const available = [...new Set(named)].filter((text) => !text.startsWith('unknown/'))
      throw this.#error(
        `has no image for ${missing.map(platformText).join(', ')}; available: ${available.join(', ') || 'none'}`,
      )
    }
    for (const { digest, platform } of images) {
      try {
        await this.#visit({ digest, read: undefined }, selection, depth + 1)
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'absent' || platform === undefined) throw error
        throw this.#error(
          `lists ${digest} for ${platformText(platform)}, which is not there; name with --platform what is to be exported`,
        )
      }
    }
    for (const { digest } of attestations) await this.#visit({ digest, read: undefined }, 'all', depth + 1)
  }

  #addBlobs({ config, layers }: Manifest): void {
    for (const { digest, size, isForeign } of config === undefined ? layers : [config, ...layers]) {
      if (isForeign) this.#foreign += 1
      else this.#blobs.set(digest, { digest, size })
    }
  }

  async #addReferrers(subject: Digest, depth: number): Promise<void> {
    for (const digest of await this.#lookup.listed(subject)) {
      await this.#addReferrer({ digest, read: undefined }, depth)
    }
    for (const { tag, manifest: read } of await this.#lookup.tagged(subject)) {
      this.#tagged.set(tag, await this.#addReferrer({ digest: digestOf(read), read }, depth))
    }
  }

  async #addReferrer(requested: Requested, depth: number): Promise<ManifestPart> {
    const known = this.#manifests.get(requested.digest)
    if (known !== undefined) return known
    const manifest = await this.#visit(requested, 'all', depth)
    this.#referrers.set(manifest.digest, manifest)
    if (depth < MAX_DEPTH) await this.#addReferrers(manifest.digest, depth + 1)
    return manifest
  }

  /** Outside an index, only the config of an image names its platform, which the reader has to be asked for. */
  async #checkPlatform({ config }: Manifest, selection: PlatformSelection): Promise<void> {
    if (selection === 'all' || config === undefined) return
    const { repository } = this.#request.reference
    const platform = await platformIn(this.#reader, repository, config, this.#signal)
    if (platform === undefined) return
    const { missing } = selectFromIndex([{ ...config, platform }], selection)
    if (missing.length === 0) return
    throw this.#error(
      `has no image for ${missing.map(platformText).join(', ')}; available: ${platformText(platform)}`,
    )
  }

  async #read(reference: string) {
    return this.#reader.manifest(this.#request.reference.repository, reference, { signal: this.#signal })
  }

  #error(what: string): ExportError {
    return new ExportError(`it ${what}`)
  }
}

/** What a tag refers to; its bytes are checked against it. */
function digestOf({ digest, bytes }: ReadManifest): Digest {
  return digest ?? digestOfBytes(bytes, 'sha256')
}
