import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { type PlatformSelection, selectFromIndex } from '../oci/index-selection.ts'
import {
  childrenOf,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestTypeOf,
  parseManifest,
} from '../oci/manifest.ts'
import { Failure } from '../ports/failure.ts'
import { readRange } from '../sources/files/file-tree.ts'
import type { FoundImage, ImportSource, LeftOut, Located } from './formats/import-source.ts'
import type { ImportTarget } from './target/import-target.ts'

export interface PlannedContent {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly size: number
  readonly mediaType: string | undefined
  /** undefined: it is stored already. */
  readonly located: Located | undefined
}

/** What is to be stored of an image. */
export interface ImagePlan {
  /** Each content once, and a manifest after what it references. */
  readonly contents: readonly PlannedContent[]
  /** What neither the source nor the store has. */
  readonly missing: readonly { readonly digest: Digest; readonly what: string; readonly size: number }[]
  /** Files that the image needs, and that are not what they must be. */
  readonly wrong: readonly LeftOut[]
  /** The same of images in an index that can be left out. */
  readonly alsoWrong: readonly LeftOut[]
  readonly referrers: readonly Digest[]
}

export interface PlanOptions {
  readonly selection: PlatformSelection
  readonly referrers: boolean
}

/** An index may list indexes, but no image is deeper. */
const MAX_DEPTH = 4
const MAX_CONTENTS = 100_000

/** Reads the manifests of one image, and finds out what the store lacks of it. */
export class ImagePlanner {
  readonly #source: ImportSource
  readonly #target: ImportTarget
  readonly #image: FoundImage
  readonly #options: PlanOptions
  readonly #contents = new Map<Digest, PlannedContent>()
  readonly #missing = new Map<Digest, ImagePlan['missing'][number]>()
  readonly #wrong: LeftOut[] = []
  readonly #alsoWrong: LeftOut[] = []

  constructor(source: ImportSource, target: ImportTarget, image: FoundImage, options: PlanOptions) {
    this.#source = source
    this.#target = target
    this.#image = image
    this.#options = options
  }

  async plan(): Promise<ImagePlan> {
    const { digest, mediaType } = this.#image.root
    await this.#addManifest({ digest, mediaType, size: 0 }, 1)
    const referrers = this.#options.referrers ? await this.#addReferrers() : []
    return {
      contents: [...this.#contents.values()],
      missing: [...this.#missing.values()],
      wrong: this.#wrong,
      alsoWrong: this.#alsoWrong,
      referrers,
    }
  }

  async #addManifest(
    { digest, mediaType, size }: Pick<Descriptor, 'digest' | 'mediaType' | 'size'>,
    depth: number,
  ): Promise<void> {
    if (this.#contents.has(digest) || this.#missing.has(digest)) return
    const stored = await this.#target.manifest(digest)
    const located = stored === undefined ? await this.#source.locate(this.#image, digest) : undefined
    if (stored === undefined && located === undefined) return this.#lack(digest, 'manifest', size)
    const bytes = stored ?? (located && (await this.#read(digest, located)))
    if (bytes === undefined) return
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok) {
      this.#wrong.push({
        file: fileOf(located, digest),
        error: `It cannot be imported: ${manifest.problem}.`,
      })
      return
    }
    await this.#addChildren(manifest.value, depth)
    this.#contents.set(digest, {
      digest,
      kind: 'manifest',
      size: bytes.length,
      mediaType: manifestTypeOf(mediaType, manifest.value),
      located,
    })
  }

  async #addChildren(manifest: Manifest, depth: number): Promise<void> {
    if (depth > MAX_DEPTH || this.#contents.size > MAX_CONTENTS) {
      throw new Failure('unsupported', 'its manifests are nested too deeply, or list too many contents')
    }
    if (manifest.kind === 'index') return this.#addImages(manifest, depth)
    const children = childrenOf(manifest).filter(({ isForeign }) => !isForeign)
    const stored = await this.#target.stored(children.map(({ digest }) => digest))
    for (const child of children) {
      const { digest, size } = child
      if (this.#contents.has(digest) || this.#missing.has(digest)) continue
      const what = child.digest === manifest.config?.digest ? 'config' : 'layer'
      const isStored = stored.has(digest)
      const located = isStored ? undefined : await this.#source.locate(this.#image, digest)
      if (!isStored && located === undefined) this.#lack(digest, what, size)
      else if (located !== undefined && sizeOf(located) !== size) {
        const error = `It has ${sizeOf(located)} bytes instead of ${size}.`
        this.#wrong.push({ file: fileOf(located, digest), error })
      } else this.#contents.set(digest, { digest, kind: 'blob', size, mediaType: undefined, located })
    }
  }

  /** What an index lists and the source lacks is left out, unless somebody has asked for it. */
  async #addImages(manifest: Manifest, depth: number): Promise<void> {
    const { selection } = this.#options
    const { images, attestations, missing } = selectFromIndex(manifest.manifests, selection)
    for (const { os, architecture } of missing) {
      throw new Failure('absent', `it has no image for ${os}/${architecture}`)
    }
    let found = 0
    for (const child of [...images, ...attestations]) {
      const isPresent =
        (await this.#source.locate(this.#image, child.digest)) !== undefined ||
        (await this.#target.stored([child.digest])).size > 0
      const isRequired = selection !== 'all' || this.#source.isNeeded(child.digest)
      if (!isPresent && !isRequired) continue
      if (this.#source.isCache && !isRequired) found += await this.#addIfWhole(child, depth)
      else {
        found += 1
        await this.#addManifest(child, depth + 1)
      }
    }
    const [first] = images
    if (found === 0 && first !== undefined) this.#lack(first.digest, 'manifest', first.size)
  }

  /** A cache has the manifests of images that nobody has pulled whole. */
  async #addIfWhole(child: Descriptor, depth: number): Promise<0 | 1> {
    const image = { ...this.#image, root: child }
    const planner = new ImagePlanner(this.#source, this.#target, image, this.#options)
    await planner.#addManifest(child, depth + 1)
    this.#alsoWrong.push(...planner.#wrong, ...planner.#alsoWrong)
    if (planner.#missing.size > 0 || planner.#wrong.length > 0) return 0
    for (const [digest, content] of planner.#contents) this.#contents.set(digest, content)
    return 1
  }

  async #addReferrers(): Promise<readonly Digest[]> {
    const referrers: Digest[] = []
    const candidates = await this.#source.possibleReferrers(this.#image)
    // An artifact may refer to another one, such as a signature to an attestation.
    for (let before = -1; referrers.length > before; ) {
      before = referrers.length
      for (const candidate of candidates) {
        if (this.#contents.has(candidate.digest)) continue
        const subject = await this.#subjectOf(candidate)
        if (subject === undefined || !this.#contents.has(subject)) continue
        await this.#addManifest(candidate, 1)
        if (this.#contents.has(candidate.digest)) referrers.push(candidate.digest)
      }
    }
    return referrers
  }

  async #subjectOf({ digest, mediaType }: Descriptor): Promise<Digest | undefined> {
    const located = await this.#source.locate(this.#image, digest)
    if (located === undefined || sizeOf(located) > MAX_MANIFEST_BYTES) return undefined
    const manifest = parseManifest(await bytesOf(located), mediaType)
    return manifest.ok ? manifest.value.subject?.digest : undefined
  }

  /** undefined: the file is wrong. */
  async #read(digest: Digest, located: Located): Promise<Uint8Array | undefined> {
    const file = fileOf(located, digest)
    if (sizeOf(located) > MAX_MANIFEST_BYTES) {
      this.#wrong.push({ file, error: `It has ${sizeOf(located)} bytes, which is too large for a manifest.` })
      return undefined
    }
    const bytes = await bytesOf(located)
    const algorithm = algorithmOf(digest)
    const found = digestOf(bytes, algorithm)
    if (found === digest) return bytes
    this.#wrong.push({ file, error: `It is not ${digest}: its digest is ${found}.` })
    return undefined
  }

  #lack(digest: Digest, what: string, size: number): void {
    this.#missing.set(digest, { digest, what, size })
  }
}

function sizeOf(located: Located): number {
  return 'path' in located ? located.size : located.length
}

/** How people find the bytes. */
export function fileOf(located: Located | undefined, digest: Digest): string {
  if (located === undefined || !('path' in located)) return digest
  const { path, shownAs = path, start } = located
  return start === 0 ? shownAs : `${shownAs} (${digest})`
}

async function bytesOf(located: Located): Promise<Uint8Array> {
  return 'path' in located ? readRange(located, MAX_MANIFEST_BYTES) : located
}
