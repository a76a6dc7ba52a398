import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest, type Platform, parseManifest } from '../../oci/manifest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { BlobReport, ImageReport } from '../../schemas/report.ts'
import { pinnedBy, Sharing } from './sharing.ts'
import type { BlobView, ContentView, TagView } from './view.ts'

/** A manifest may name tens of thousands of parts; nobody waits for a look at each. */
const MOST_PARTS = 2000
/** Of the images that share something with one; a base layer may be in hundreds. */
const MOST_OTHERS = 10

export async function* listBlobs(view: ContentView): AsyncGenerator<BlobReport> {
  const pinned = await pinnedBy(view)
  for await (const blob of view.blobs()) {
    yield { digest: blob.digest, ...blobFacts(blob), pinned: pinned.has(blob.digest) }
  }
}

export async function* listImages(view: ContentView): AsyncGenerator<ImageReport> {
  const [pinned, sharing] = [await pinnedBy(view), await Sharing.of(view)]
  for await (const tag of view.tags()) {
    const { repository, digest, checkedAt } = tag
    yield {
      repository: repositoryKey(repository),
      tag: tag.tag,
      digest,
      checkedAt: rfc3339(checkedAt),
      ...(await inspect(view, tag, sharing)),
      pinned: pinned.has(digest),
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

/** A clock may have been anywhere when this was written; no date may break a report. */
export function rfc3339(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString()
}

export function platformText(platform: Platform | undefined): string | undefined {
  if (platform === undefined || platform.os === '') return undefined
  const { os, architecture, variant } = platform
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

/** The manifest under this digest, if it is here and can be read. */
export async function readManifest(view: ContentView, digest: Digest): Promise<Manifest | undefined> {
  const bytes = await view.manifest(digest)
  const manifest = bytes === undefined ? undefined : parseManifest(bytes)
  return manifest?.ok === true ? manifest.value : undefined
}

type Inspection = Omit<ImageReport, 'repository' | 'tag' | 'digest' | 'checkedAt' | 'pinned'>

/** An index counts as whole when it can be pulled for at least one platform: nobody stores all of them. */
async function inspect(view: ContentView, tag: TagView, sharing: Sharing): Promise<Inspection> {
  const image = new Image(view, tag, sharing)
  const top = (await image.has(tag.digest)) ? await readManifest(view, tag.digest) : undefined
  if (top === undefined) return image.report(image.bytes === 0 ? 'absent' : 'partial')
  if (top.kind === 'image') return image.report((await image.hasAllOf(top)) ? 'whole' : 'partial')
  const platforms = new Set<string>()
  let any = false
  for (const child of top.manifests.slice(0, MOST_PARTS)) {
    if (!(await image.has(child.digest))) continue
    const manifest = await readManifest(view, child.digest)
    if (manifest === undefined || !(await image.hasAllOf(manifest))) continue
    any = true
    const platform = platformText(child.platform)
    // `unknown/unknown` is how attestations lie beside an image.
    if (platform !== undefined && platform !== 'unknown/unknown') platforms.add(platform)
  }
  return image.report(any ? 'whole' : 'partial', [...platforms])
}

/** Adds up what there is of one image. */
class Image {
  readonly #view: ContentView
  readonly #tag: TagView
  readonly #sharing: Sharing
  readonly #counted = new Set<Digest>()
  readonly #sharesWith = new Set<string>()
  #unique = 0
  #shared = 0
  #lastUsedAt: number | undefined

  constructor(view: ContentView, tag: TagView, sharing: Sharing) {
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
    if (this.#counted.has(part)) return true
    this.#counted.add(part)
    const { isShared, others } = this.#sharing.of(part, this.#tag)
    if (isShared) this.#shared += facts.size
    else this.#unique += facts.size
    for (const other of others) if (this.#sharesWith.size < MOST_OTHERS) this.#sharesWith.add(other)
    // A layer may have been used for another image.
    if (facts.kind === 'manifest') this.#lastUsedAt = Math.max(this.#lastUsedAt ?? 0, facts.lastUsedAt)
    return true
  }

  async hasAllOf(manifest: Manifest): Promise<boolean> {
    let whole = true
    for (const { digest: part, isForeign } of childrenOf(manifest)) {
      if (this.#counted.size > MOST_PARTS) return false
      if (!(await this.has(part)) && !isForeign) whole = false
    }
    return whole
  }

  report(state: ImageReport['state'], platforms: string[] = []): Inspection {
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
