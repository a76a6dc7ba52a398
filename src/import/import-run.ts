import { mapConcurrently } from '../lib/async/map-concurrently.ts'
import { withTicks } from '../lib/async/with-ticks.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { isTag } from '../oci/names/names.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { ImportedImage, ImportLine, LeftOutFile } from '../schemas/import-report.ts'
import { FileReader } from './file-reader.ts'
import type { FoundImage, ImportSource } from './formats/import-source.ts'
import { fileOf, type ImagePlan, ImagePlanner, type PlannedContent, type PlanOptions } from './image-plan.ts'
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
/** A path may be longer. */
const MAX_ORIGIN_LENGTH = 300

/** One import: its images one after the other, each named only when all of it is stored. */
export class ImportRun {
  readonly #source: ImportSource
  readonly #target: ImportTarget
  readonly #options: ImportOptions
  readonly #startedAt = performance.now()
  /** Contents of images that were imported. */
  readonly #done = new Set<Digest>()
  readonly #failedRoots = new Set<Digest>()
  /** The files of contents that have another digest. */
  readonly #wrongFiles = new Map<Digest, string>()
  readonly #leftOut = new Map<string, LeftOutFile>()
  #current: string | null = null
  #images = 0
  #ofImages = 0
  #failed = 0
  #bytes = 0
  #ofBytes = 0
  #hereBytes = 0
  #movedBytes = 0

  constructor(source: ImportSource, target: ImportTarget, options: ImportOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
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
      bytes: this.#bytes,
      hereBytes: this.#hereBytes,
      movedBytes: this.#movedBytes,
      ms: Math.round(performance.now() - this.#startedAt),
    }
  }

  async *#steps(images: readonly FoundImage[], signal: AbortSignal): AsyncGenerator<ImportLine> {
    for (const found of images) {
      signal.throwIfAborted()
      // A cache lists the manifests of its tags by their digests, too.
      const { digest } = found.root
      if (found.tag === undefined && (this.#done.has(digest) || this.#failedRoots.has(digest))) {
        this.#ofImages -= 1
        continue
      }
      const known = new Set(this.#leftOut.keys())
      const line = await this.#import(found, signal)
      for (const [key, file] of this.#leftOut) if (!known.has(key)) yield file
      this.#images += 1
      if (line.error !== null) {
        this.#failed += 1
        this.#failedRoots.add(digest)
      }
      yield line
    }
  }

  async #import(found: FoundImage, signal: AbortSignal): Promise<ImportedImage> {
    const before = { bytes: this.#bytes, here: this.#hereBytes, moved: this.#movedBytes }
    let plan: ImagePlan | undefined
    let image: NamedImage | undefined
    let error: string | null = null
    this.#current = labelOf(found, undefined)
    try {
      image = this.#name(found)
      this.#current = labelOf(found, image)
      plan = await new ImagePlanner(this.#source, this.#target, image, this.#options).plan()
      error = await this.#store(image, plan, signal)
    } catch (cause) {
      signal.throwIfAborted()
      if (!(cause instanceof Failure) || cause.code === 'stopping') throw cause
      error = `${labelOf(found, image)} is not imported: ${cause.message}`
    }
    return {
      is: 'image',
      image: labelOf(found, image),
      digest: found.root.digest,
      error,
      parts: plan?.contents.length ?? 0,
      bytes: this.#bytes - before.bytes,
      hereBytes: this.#hereBytes - before.here,
      movedBytes: this.#movedBytes - before.moved,
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

  /** Gives a sentence about what is wrong, or null. What could be stored is stored then, too. */
  async #store(image: NamedImage, plan: ImagePlan, signal: AbortSignal): Promise<string | null> {
    const label = labelOf(image, image)
    this.#ofBytes += plan.contents.reduce((sum, { size }) => sum + size, 0)
    for (const { file, error } of [...plan.wrong, ...plan.alsoWrong]) this.#leaveOut(file, error)
    const wrong = plan.wrong.map(({ file }) => file)
    const blobs = plan.contents.filter(({ kind }) => kind === 'blob')
    for await (const file of mapConcurrently(blobs, CONTENTS_AT_ONCE, (content) =>
      this.#storeContent(image, content, signal),
    )) {
      if (file !== undefined) wrong.push(file)
    }
    if (wrong.length > 0 || plan.missing.length > 0) return this.#unwhole(label, plan, wrong)
    for (const content of plan.contents.filter(({ kind }) => kind === 'manifest')) {
      const file = await this.#storeContent(image, content, signal)
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
    for (const { digest } of plan.contents) this.#done.add(digest)
    return null
  }

  /** Gives the file of a content that has another digest. */
  async #storeContent(
    { repository }: NamedImage,
    { digest, kind, size, mediaType, located }: PlannedContent,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    signal.throwIfAborted()
    const wrongFile = this.#wrongFiles.get(digest)
    if (wrongFile !== undefined) return wrongFile
    if (located === undefined || this.#done.has(digest)) {
      this.#hereBytes += size
      this.#bytes += size
      return undefined
    }
    const origin = originOf(this.#source.name)
    try {
      const path = 'path' in located ? located.path : undefined
      const isMovable = this.#options.move && this.#source.isCache && kind === 'blob' && path !== undefined
      if (isMovable && (await this.#target.move({ path, digest, repository, origin }, { signal }))) {
        this.#movedBytes += size
        this.#bytes += size
        return undefined
      }
      const reader = await FileReader.open(located, (count) => {
        this.#bytes += count
      })
      try {
        const content = { kind, repository, digest, algorithm: algorithmOf(digest), size, mediaType, origin }
        await this.#target.put(content, reader.read, { signal })
      } finally {
        await reader.close()
      }
      return undefined
    } catch (cause) {
      signal.throwIfAborted()
      if (!(cause instanceof Failure) || cause.code !== 'corrupt') throw cause
      const file = fileOf(located, digest)
      const found = cause.details.found === undefined ? '' : `: its digest is ${cause.details.found}`
      this.#leaveOut(file, `It is not ${digest}${found}.`)
      this.#wrongFiles.set(digest, file)
      return file
    }
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
    return {
      is: 'progress',
      image: this.#current,
      images: this.#images,
      ofImages: this.#ofImages,
      bytes: this.#bytes,
      ofBytes: this.#ofBytes,
      bytesPerSecond: Math.round((this.#bytes - this.#hereBytes) / seconds),
    }
  }
}

/** Who has brought a content, as reports show it. */
export function originOf(source: string): string {
  return `import ${source}`.slice(0, MAX_ORIGIN_LENGTH)
}

function labelOf({ place, root }: FoundImage, named: NamedImage | undefined): string {
  if (named === undefined) return place
  const { repository, tag } = named
  return tag === undefined
    ? `${repositoryKey(repository)}@${root.digest}`
    : `${repositoryKey(repository)}:${tag}`
}
