import { sizeText } from '../../observe/text.ts'
import type { Digest } from '../../oci/digest.ts'
import { referenceText } from '../../oci/names/reference.ts'
import { Failure } from '../../ports/failure.ts'
import type { WarmTarget } from '../content/warm-target.ts'
import type { ImageJob } from './image-job.ts'
import type { ImageRequest } from './image-request.ts'
import { type ImageContent, ManifestWalk } from './manifest-walk.ts'
import { type FailedPart, toWarmError, WarmError } from './warm-error.ts'

/** Stores one image. */
export class ImageWarmer {
  readonly startedAt = performance.now()
  readonly #job: ImageJob
  readonly #walk: ManifestWalk
  #isPlanned = false

  constructor(job: ImageJob) {
    this.#job = job
    this.#walk = new ManifestWalk(job)
  }

  get request(): ImageRequest {
    return this.#job.request
  }

  /** Whether all parts of the image are known. */
  get isPlanned(): boolean {
    return this.#isPlanned
  }

  /** What the image waits for now, if it does. */
  get waitsFor(): string | undefined {
    return this.#job.patience.waitsFor
  }

  /** The parts of the image that are known so far. */
  get digests(): ReadonlySet<Digest> {
    return this.#walk.digests
  }

  /** Resolves when the whole image is stored. Throws a `WarmError`, or the reason of the signal. */
  async run(): Promise<ImageContent> {
    const { target, request, signal } = this.#job
    const { reference, pin } = request
    try {
      if (!target.allowed(reference.repository)) {
        throw new WarmError(`${referenceText(reference)} may not be served by this agent; see --allow`)
      }
      const content = await this.#walk.run()
      this.#isPlanned = true
      this.#checkLimit()
      await this.#loadBlobs(content)
      if (pin)
        for (const digest of [content.digest, ...content.referrers]) {
          await target.pin(digest, referenceText(reference))
        }
      return content
    } catch (error) {
      signal.throwIfAborted()
      throw toWarmError(error, reference, await this.#failedPart(error))
    }
  }

  async #loadBlobs({ blobs }: ImageContent): Promise<void> {
    const errors: unknown[] = []
    await Promise.all(
      [...blobs.values()].map(async (blob) => {
        // After the first error no blob is started; those under way are completed.
        if (errors.length > 0) return
        await this.#walk.loadBlob(blob).catch((error: unknown) => errors.push(error))
      }),
    )
    if (errors.length > 0) throw errors[0]
  }

  /** Counts all images of the run: without the check, the last one could evict the first one. */
  #checkLimit(): void {
    const { target, parts, request } = this.#job
    const limit = target.limitBytes()
    const { ofBytes } = parts.totals()
    if (limit === undefined || ofBytes <= limit) return
    const own = parts.totals(this.digests).ofBytes
    const all = ofBytes > own ? ` (${sizeText(ofBytes)} with the other images)` : ''
    throw new WarmError(
      `${referenceText(request.reference)} needs ${sizeText(own)}${all}, but at most ${sizeText(limit)} can be stored; raise --max-bytes, or warm fewer images`,
    )
  }

  /** For absent content: whether the tag is wrong, or the name. */
  async #failedPart(error: unknown): Promise<FailedPart> {
    if (this.digests.size > 0) return 'part'
    const { target, request, signal } = this.#job
    const { repository, tag, digest } = request.reference
    if (!(error instanceof Failure) || error.code !== 'absent') return 'image'
    if (tag === undefined || digest !== undefined) return 'image'
    try {
      const { tags } = await target.resolver.tags(repository, { signal })
      return tags.length > 0 ? 'tag' : 'image'
    } catch {
      return 'image'
    }
  }
}

/** How many of the digests are not stored, or no longer. */
export async function countMissing(target: WarmTarget, digests: Iterable<Digest>): Promise<number> {
  let missing = 0
  for (const digest of digests) if ((await target.stored(digest)) === undefined) missing += 1
  return missing
}
