import type { Digest } from '../../oci/digest.ts'
import { type PlatformSelection, selectFromIndex } from '../../oci/index-selection.ts'
import { type Descriptor, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { referenceText } from '../../oci/names/reference.ts'
import { platformText } from '../../oci/platform.ts'
import type { ImageJob } from './image-job.ts'
import { platformMismatch } from './platform-check.ts'
import { listReferrers } from './referrers.ts'
import { resolveImage } from './tag-resolution.ts'
import { WarmError } from './warm-error.ts'

/** An index may contain indexes, and a referrer may have referrers. Deeper ones are an error. */
const MAX_DEPTH = 4
/** The limit for one image. */
const MAX_MANIFESTS = 2000

/** The requested content of an image. */
export interface ImageContent {
  readonly digest: Digest
  /** Whether upstream could not be asked what the tag refers to. */
  readonly isStale: boolean
  readonly blobs: ReadonlyMap<Digest, Descriptor>
  /** The referrers. The pin of the image does not include them: each needs its own. */
  readonly referrers: readonly Digest[]
  /** The number of foreign layers, which no registry has. */
  readonly foreign: number
}

interface Step {
  readonly digest: Digest
  readonly depth: number
  readonly selection: PlatformSelection
  /** Whether the referrers of the manifest are requested too. */
  readonly isSubject: boolean
}

/** Visits the manifests of one image and stores them. Throws a `WarmError` or a `Failure`. */
export class ManifestWalk {
  /** All manifests and blobs found so far. */
  readonly digests = new Set<Digest>()
  readonly #job: ImageJob
  readonly #blobs = new Map<Digest, Descriptor>()
  readonly #referrers = new Set<Digest>()
  readonly #visited = new Set<Digest>()
  #foreign = 0

  constructor(job: ImageJob) {
    this.#job = job
  }

  async run(): Promise<ImageContent> {
    const { selection, referrers } = this.#job.request
    const { digest, isStale } = await resolveImage(this.#job)
    await this.#visit({ digest, depth: 0, selection, isSubject: referrers })
    return {
      digest,
      isStale,
      blobs: this.#blobs,
      referrers: [...this.#referrers],
      foreign: this.#foreign,
    }
  }

  async #visit(step: Step): Promise<void> {
    const { digest, depth, isSubject } = step
    if (this.#visited.has(digest)) return
    this.#visited.add(digest)
    if (depth > MAX_DEPTH || this.#visited.size > MAX_MANIFESTS) {
      throw this.#error('has too many manifests, or too many levels of manifests')
    }
    const manifest = await this.#load(digest)
    const referrers = isSubject ? this.#visitReferrers(digest, depth) : undefined
    const content =
      manifest.kind === 'index' ? this.#visitIndex(manifest, step) : this.#addImage(manifest, step)
    await allSettled([content, referrers])
  }

  async #load(digest: Digest): Promise<Manifest> {
    const { target, loader, parts, request, signal, patience } = this.#job
    const wasStored = (await target.stored(digest)) !== undefined
    const { bytes, mediaType } = await loader.manifest(request.reference.repository, digest, {
      signal,
      patience,
    })
    this.#add(digest, bytes.length)
    parts.markStored(digest, { wasStored })
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok) throw this.#error(`has an invalid manifest: ${manifest.problem}`)
    return manifest.value
  }

  async #visitIndex(index: Manifest, { depth, selection, isSubject }: Step): Promise<void> {
    const { images, attestations, missing } = selectFromIndex(index.manifests, selection)
    if (missing.length > 0) {
      const platforms = index.manifests.flatMap(({ platform }) =>
        platform === undefined ? [] : platformText(platform),
      )
      const available = [...new Set(platforms)].filter((text) => !text.startsWith('unknown/'))
      throw this.#error(
        `has no image for ${missing.map(platformText).join(', ')}; available: ${available.join(', ') || 'none'}`,
      )
    }
    const visits = images.map(({ digest, size }) => {
      this.#add(digest, size)
      return this.#visit({ digest, depth: depth + 1, selection, isSubject })
    })
    for (const { digest, size } of isSubject ? attestations : []) {
      this.#add(digest, size)
      visits.push(this.#visit({ digest, depth: depth + 1, selection: 'all', isSubject: false }))
    }
    await allSettled(visits)
  }

  /** Outside an index, only the config of an image names its platform. */
  async #addImage({ config, layers }: Manifest, { depth, selection }: Step): Promise<void> {
    if (config !== undefined) this.#addBlob(config)
    for (const layer of layers) {
      if (layer.isForeign) this.#foreign += 1
      else this.#addBlob(layer)
    }
    if (depth > 0 || selection === 'all' || !selection.isExplicit || config === undefined) return
    await this.loadBlob(config)
    const { target, request, signal } = this.#job
    const { repository } = request.reference
    const mismatch = await platformMismatch(target.resolver, repository, config, selection.platforms, signal)
    if (mismatch !== undefined) {
      const missing = selection.platforms.map(platformText).join(', ')
      throw this.#error(`has no image for ${missing}; available: ${mismatch}`)
    }
  }

  async #visitReferrers(subject: Digest, depth: number): Promise<void> {
    const referrers = await listReferrers(this.#job, subject)
    await allSettled(
      referrers.map(({ digest, size }) => {
        this.#add(digest, size)
        this.#referrers.add(digest)
        const isSubject = depth + 1 < MAX_DEPTH
        return this.#visit({ digest, depth: depth + 1, selection: 'all', isSubject })
      }),
    )
  }

  /** Stores one blob. */
  async loadBlob({ digest }: Descriptor): Promise<void> {
    const { loader, parts, request, signal, patience } = this.#job
    const { repository } = request.reference
    const onStart = (): void => parts.markArriving(digest)
    const wasStored = await loader.blob(repository, digest, onStart, { signal, patience })
    parts.markStored(digest, { wasStored })
  }

  #addBlob(blob: Descriptor): void {
    this.#blobs.set(blob.digest, blob)
    this.#add(blob.digest, blob.size)
  }

  #add(digest: Digest, size: number): void {
    this.digests.add(digest)
    this.#job.parts.add(digest, size)
  }

  #error(what: string): WarmError {
    return new WarmError(`${referenceText(this.#job.request.reference)} ${what}`)
  }
}

/** Throws the first error only when all visits have ended, so that no work goes on after the walk. */
async function allSettled(visits: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(visits)) {
    if (result.status === 'rejected') throw result.reason
  }
}
