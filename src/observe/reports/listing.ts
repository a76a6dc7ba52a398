import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest, type Platform, parseManifest } from '../../oci/manifest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { BlobReport, ImageReport } from '../../schemas/content-report.ts'
import { rfc3339 } from '../rfc3339.ts'
import { pinnedBy, SharedParts } from './sharing.ts'
import type { BlobView, ContentView, TagView } from './view.ts'

/** A manifest may name tens of thousands of parts, and each costs a lookup in the index. */
const MAX_PARTS = 2000
/** How many images `sharesWith` names; hundreds of images may share a base layer. */
const MAX_SHARED_WITH = 10

export async function* listBlobs(view: ContentView): AsyncGenerator<BlobReport> {
  const pinned = await pinnedBy(view)
  for await (const blob of view.blobs()) {
    yield { digest: blob.digest, ...blobFacts(blob), pinned: pinned.has(blob.digest) }
  }
}

export async function* listImages(view: ContentView): AsyncGenerator<ImageReport> {
  const [pinned, sharing] = [await pinnedBy(view), await SharedParts.of(view)]
  const pinNames = new Map<Digest, readonly string[]>()
  for await (const { digest, names } of view.pins()) pinNames.set(digest, names)
  for await (const tag of view.tags()) {
    const { repository, digest, checkedAt, importedAt, isHosted } = tag
    yield {
      repository: repositoryKey(repository),
      tag: tag.tag,
      digest,
      checkedAt: rfc3339(checkedAt),
      ...(importedAt === undefined ? {} : { importedAt: rfc3339(importedAt) }),
      ...(isHosted === undefined ? {} : { hosted: true }),
      ...(await inspect(view, tag, sharing)),
      pinned: pinned.has(digest),
      pinnedBy: [...(pinNames.get(digest) ?? [])].slice(0, MAX_SHARED_WITH),
    }
  }
}

export function blobFacts(blob: BlobView): Omit<BlobReport, 'digest' | 'pinned'> {
  return {
    size: blob.size,
    kind: blob.kind,
    mediaType: blob.mediaType ?? null,
    storedAt: rfc3339(blob.storedAt),
    lastUsedAt: rfc3339(blob.lastUsedAt),
    origin: blob.origin,
  }
}

export function platformText(platform: Platform | undefined): string | undefined {
  if (platform === undefined || platform.os === '') return undefined
  const { os, architecture, variant } = platform
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

/** The stored manifest of this digest; undefined when it is not stored or not valid. */
export async function readManifest(view: ContentView, digest: Digest): Promise<Manifest | undefined> {
  const bytes = await view.manifest(digest)
  const manifest = bytes === undefined ? undefined : parseManifest(bytes)
  return manifest?.ok === true ? manifest.value : undefined
}

type ImageState = Omit<
  ImageReport,
  'repository' | 'tag' | 'digest' | 'checkedAt' | 'importedAt' | 'hosted' | 'pinned' | 'pinnedBy'
>

/** An index counts as `whole` when at least one platform is complete, as hardly any node stores all platforms. */
async function inspect(view: ContentView, tag: TagView, sharing: SharedParts): Promise<ImageState> {
  const image = new ImageInspection(view, tag, sharing)
  const top = (await image.has(tag.digest)) ? await readManifest(view, tag.digest) : undefined
  if (top === undefined) return image.report(image.bytes === 0 ? 'absent' : 'partial')
  if (top.kind === 'image') return image.report((await image.hasAllParts(top)) ? 'whole' : 'partial')
  const platforms = new Set<string>()
  let hasPlatform = false
  for (const child of top.manifests.slice(0, MAX_PARTS)) {
    if (!(await image.has(child.digest))) continue
    const manifest = await readManifest(view, child.digest)
    if (manifest === undefined || !(await image.hasAllParts(manifest))) continue
    hasPlatform = true
    const platform = platformText(child.platform)
    // BuildKit lists attestations in the index with the platform `unknown/unknown`.
    if (platform !== undefined && platform !== 'unknown/unknown') platforms.add(platform)
  }
  return image.report(hasPlatform ? 'whole' : 'partial', [...platforms])
}

/** Counts the stored parts of one image. */
class ImageInspection {
  readonly #view: ContentView
  readonly #tag: TagView
  readonly #sharing: SharedParts
  readonly #inspected = new Set<Digest>()
  readonly #sharesWith = new Set<string>()
  #unique = 0
  #shared = 0
  #lastUsedAt: number | undefined

  constructor(view: ContentView, tag: TagView, sharing: SharedParts) {
    this.#view = view
    this.#tag = tag
    this.#sharing = sharing
  }

  get bytes(): number {
    return this.#unique + this.#shared
  }

  async has(part: Digest): Promise<boolean> {
    const facts = await this.#view.facts(part)
    if (facts === undefined) return false
    if (this.#inspected.has(part)) return true
    this.#inspected.add(part)
    const { isShared, others } = this.#sharing.othersWith(part, this.#tag)
    if (isShared) this.#shared += facts.size
    else this.#unique += facts.size
    for (const other of others) if (this.#sharesWith.size < MAX_SHARED_WITH) this.#sharesWith.add(other)
    // A layer may have been used for another image, so only manifests count.
    if (facts.kind === 'manifest') this.#lastUsedAt = Math.max(this.#lastUsedAt ?? 0, facts.lastUsedAt)
    return true
  }

  async hasAllParts(manifest: Manifest): Promise<boolean> {
    let isComplete = true
    for (const { digest: part, isForeign } of childrenOf(manifest)) {
      if (this.#inspected.size > MAX_PARTS) return false
      if (!(await this.has(part)) && !isForeign) isComplete = false
    }
    return isComplete
  }

  report(state: ImageReport['state'], platforms: string[] = []): ImageState {
    return {
      bytesHere: this.bytes,
      uniqueBytes: this.#unique,
      sharedBytes: this.#shared,
      sharesWith: [...this.#sharesWith].sort(),
      lastUsedAt: this.#lastUsedAt === undefined ? null : rfc3339(this.#lastUsedAt),
      state,
      platforms,
    }
  }
}
