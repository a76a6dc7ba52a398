import { mapConcurrently } from '../lib/async/map-concurrently.ts'
import { withTicks } from '../lib/async/with-ticks.ts'
import type { Digest } from '../oci/digest.ts'
import { isTag } from '../oci/names/names.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { ImportedImage, ImportLine, LeftOutFile } from '../schemas/import-report.ts'
import { ContentTransfer } from './content-transfer.ts'
import type { FoundImage, ImportSource, LeftOut } from './formats/import-source.ts'
import { type ImagePlan, ImagePlanner, type PlanOptions } from './image-plan.ts'
import type { ImportTarget } from './target/import-target.ts'

export interface ImportOptions extends PlanOptions {
  /** The name of the only image. */
  readonly as: { readonly repository: Repository; readonly tag: string } | undefined
  readonly pin: boolean
  /** Move files of a cache instead of copying them, where that is possible. */
  readonly move: boolean
}

interface NamedImage extends FoundImage {
  readonly repository: Repository
}

const TICK_MS = 500
/** The store hashes in two threads. */
const CONTENTS_AT_ONCE = 2
/** How many missing contents an error names. */
const MAX_NAMED = 3

/** One import: its images one after the other, each named only when all of it is stored. */
export class ImportRun {
  readonly #source: ImportSource
  readonly #target: ImportTarget
  readonly #options: ImportOptions
  readonly #transfer: ContentTransfer
  readonly #startedAt = performance.now()
  /** Manifests that were imported, or could not be, with their repositories. */
  readonly #tried = new Set<string>()
  readonly #leftOut = new Map<string, LeftOutFile>()
  /** What each name means: what the first image that has it is. */
  readonly #meant = new Map<string, Digest>()
  #current: string | null = null
  #images = 0
  #ofImages = 0
  #failed = 0
  #ofBytes = 0

  constructor(source: ImportSource, target: ImportTarget, options: ImportOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
    const onLeftOut = ({ file, error }: LeftOut): void => void this.#leaveOut(file, error)
    this.#transfer = new ContentTransfer(source, target, { move: options.move, onLeftOut })
  }

  /** The last line is `done`. Throws a `Failure` if nothing can be imported, and the signal's reason. */
  async *lines({ signal }: { signal: AbortSignal }): AsyncGenerator<ImportLine> {
    const { images, leftOut } = await this.#source.images()
    const { as } = this.#options
    if (as !== undefined && images.length !== 1) {
      throw new Failure(
        'unsupported',
        `--as names one image, and ${this.#source.name} has ${images.length}. Name one of them, as in PATH:TAG, or leave out --as.`,
      )
    }
    for (const { file, error } of leftOut) yield this.#leaveOut(file, error)
    this.#ofImages = images.length
    for await (const line of withTicks(this.#steps(images, signal), TICK_MS, () => this.#progress()))
      yield line
    signal.throwIfAborted()
    yield {
      is: 'done',
      images: this.#ofImages,
      failed: this.#failed,
      leftOut: this.#leftOut.size,
      ...this.#transfer.transferred,
      ms: Math.round(performance.now() - this.#startedAt),
    }
  }

  async *#steps(images: readonly FoundImage[], signal: AbortSignal): AsyncGenerator<ImportLine> {
    const isTagged = ({ tag }: FoundImage): boolean => tag !== undefined
    const inOrder = [...images.filter(isTagged), ...images.filter((image) => !isTagged(image))]
    for (const found of inOrder) {
      signal.throwIfAborted()
      // A cache lists the manifests of its tags by their digests, too.
      const { digest } = found.root
      if (found.tag === undefined && this.#tried.has(keyOf(found.repository, digest))) {
        this.#ofImages -= 1
        continue
      }
      const known = new Set(this.#leftOut.keys())
      const line = await this.#import(found, signal)
      for (const [key, file] of this.#leftOut) if (!known.has(key)) yield file
      this.#images += 1
      if (line.error !== null) this.#failed += 1
      this.#tried.add(keyOf(found.repository, digest))
      yield line
    }
  }

  async #import(found: FoundImage, signal: AbortSignal): Promise<ImportedImage> {
    const before = this.#transfer.transferred
    let plan: ImagePlan | undefined
    let image: NamedImage | undefined
    let error: string | null = null
    this.#current = labelOf(found, undefined)
    try {
      image = this.#name(found)
      this.#current = labelOf(found, image)
      this.#checkName(this.#current, found.root.digest)
      plan = await new ImagePlanner(this.#source, this.#target, image, this.#options).plan()
      error = await this.#store(image, plan, signal)
    } catch (cause) {
      signal.throwIfAborted()
      if (!(cause instanceof Failure) || cause.code === 'stopping') throw cause
      error = `${labelOf(found, image)} is not imported: ${cause.message}`
    }
    const { bytes, hereBytes, movedBytes } = this.#transfer.transferred
    return {
      is: 'image',
      image: labelOf(found, image),
      digest: found.root.digest,
      error,
      parts: plan?.contents.length ?? 0,
      bytes: bytes - before.bytes,
      hereBytes: hereBytes - before.hereBytes,
      movedBytes: movedBytes - before.movedBytes,
      referrers: plan?.referrers.length ?? 0,
      pinned: error === null && this.#options.pin,
    }
  }

  #name(found: FoundImage): NamedImage {
    const { as } = this.#options
    if (as !== undefined) return { ...found, repository: as.repository, tag: as.tag }
    const { repository, tag, place } = found
    if (repository === undefined || (tag !== undefined && !isTag(tag))) {
      throw new Failure('unsupported', `${place} is not the name of an image. Name it with --as.`)
    }
    return { ...found, repository }
  }

  #checkName(label: string, digest: Digest): void {
    const first = this.#meant.get(label) ?? digest
    this.#meant.set(label, first)
    if (first === digest) return
    throw new Failure(
      'unsupported',
      `${this.#source.name} has two images of this name, ${first} and ${digest}. The first one counts; copy the other one under another name.`,
    )
  }

  /** Gives a sentence about what is wrong, or null. What could be stored is stored then, too. */
  async #store(image: NamedImage, plan: ImagePlan, signal: AbortSignal): Promise<string | null> {
    const label = labelOf(image, image)
    this.#ofBytes += plan.contents.reduce((sum, { size }) => sum + size, 0)
    for (const { file, error } of [...plan.wrong, ...plan.alsoWrong]) this.#leaveOut(file, error)
    const wrong = plan.wrong.map(({ file }) => file)
    const blobs = plan.contents.filter(({ kind }) => kind === 'blob')
    for await (const file of mapConcurrently(blobs, CONTENTS_AT_ONCE, (content) =>
      this.#transfer.store(image.repository, content, signal),
    )) {
      if (file !== undefined) wrong.push(file)
    }
    if (wrong.length > 0 || plan.missing.length > 0) return this.#unwhole(label, plan, wrong)
    for (const content of plan.contents.filter(({ kind }) => kind === 'manifest')) {
      const file = await this.#transfer.store(image.repository, content, signal)
      if (file !== undefined) return this.#unwhole(label, plan, [file])
    }
    const missing = await this.#target.name({
      repository: image.repository,
      tag: image.tag,
      root: image.root.digest,
      referrers: plan.referrers,
      pin: this.#options.pin,
    })
    if (missing.length > 0) {
      return `${label} is not imported: ${missing[0]} was evicted meanwhile, or is damaged. Raise --max-bytes, and import it again.`
    }
    for (const { digest, kind } of plan.contents) {
      if (kind === 'manifest') this.#tried.add(keyOf(image.repository, digest))
    }
    return null
  }

  #unwhole(label: string, { missing }: ImagePlan, [wrong]: readonly string[]): string {
    if (missing.length === 0) return `${label} is not imported: it needs ${wrong}, which is left out.`
    const named = missing.slice(0, MAX_NAMED).map(({ what, digest }) => `the ${what} ${digest}`)
    const more = missing.length > MAX_NAMED ? ` and ${missing.length - MAX_NAMED} more contents` : ''
    const isBundle = missing.some(({ digest }) => this.#source.isNeeded(digest))
    const todo = isBundle
      ? 'Import the bundles before this one, or export a whole one'
      : 'Copy the image again, and import it again'
    return `${label} is not imported: neither ${this.#source.name} nor the store has ${named.join(', ')}${more}. ${todo}.`
  }

  #leaveOut(file: string, error: string): LeftOutFile {
    const line: LeftOutFile = { is: 'left-out', file, error }
    this.#leftOut.set(`${file} ${error}`, line)
    return line
  }

  #progress(): ImportLine {
    const seconds = Math.max(0.001, (performance.now() - this.#startedAt) / 1000)
    const { bytes, hereBytes } = this.#transfer.transferred
    return {
      is: 'progress',
      image: this.#current,
      images: this.#images,
      ofImages: this.#ofImages,
      bytes,
      ofBytes: this.#ofBytes,
      bytesPerSecond: Math.round((bytes - hereBytes) / seconds),
    }
  }
}

function keyOf(repository: Repository | undefined, digest: Digest): string {
  return repository === undefined ? digest : `${repositoryKey(repository)} ${digest}`
}

function labelOf({ place, root }: FoundImage, named: NamedImage | undefined): string {
  if (named === undefined) return place
  const { repository, tag } = named
  return tag === undefined
    ? `${repositoryKey(repository)}@${root.digest}`
    : `${repositoryKey(repository)}:${tag}`
}
