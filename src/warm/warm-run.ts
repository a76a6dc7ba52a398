import { setMaxListeners } from 'node:events'
import { mapConcurrently } from '../lib/async/map-concurrently.ts'
import { withTicks } from '../lib/async/with-ticks.ts'
import { publish } from '../observe/events.ts'
import type { WarmedImage, WarmLine, WarmProgress } from '../schemas/warm-report.ts'
import type { ContentLoader } from './content/content-loader.ts'
import { Patience } from './content/patience.ts'
import { WarmParts } from './content/warm-parts.ts'
import type { WarmTarget } from './content/warm-target.ts'
import type { ImageRequest } from './images/image-request.ts'
import { countMissing, ImageWarmer } from './images/image-warmer.ts'
import type { ImageContent } from './images/manifest-walk.ts'
import { WarmError } from './images/warm-error.ts'

const TICK_MS = 500
const IMAGES_AT_ONCE = 4

type Track = <Result>(work: Promise<Result>) => Promise<Result>

interface Result {
  readonly warmer: ImageWarmer
  /** Undefined if the image is not warm. */
  readonly content: ImageContent | undefined
  readonly error: string | undefined
}

/** Stores several images that somebody waits for, and checks at the end that all of them are still stored. */
export class WarmRun {
  readonly #target: WarmTarget
  readonly #loader: ContentLoader
  readonly #requests: readonly ImageRequest[]
  readonly #waitMs: number
  readonly #track: Track
  readonly #parts: WarmParts
  readonly #active = new Set<ImageWarmer>()
  readonly #startedAt = performance.now()
  #ended = 0

  /**
   * `waitMs`: how long each image waits for a registry that does not answer. `track` gets the work on each image, which
   * goes on for a moment after the consumer of the lines has left.
   */
  constructor(
    target: WarmTarget,
    loader: ContentLoader,
    { requests, waitMs, track }: { requests: readonly ImageRequest[]; waitMs: number; track: Track },
  ) {
    this.#waitMs = waitMs
    this.#target = target
    this.#loader = loader
    this.#requests = requests
    this.#track = track
    this.#parts = new WarmParts(target)
  }

  /** The last line is `done`. Throws the signal's reason. */
  async *lines({ signal }: { signal: AbortSignal }): AsyncGenerator<WarmLine> {
    const ending = new AbortController()
    const runSignal = AbortSignal.any([signal, ending.signal])
    // Every part of an image listens to the signal.
    setMaxListeners(0, runSignal)
    const images = mapConcurrently(this.#requests, IMAGES_AT_ONCE, (request) =>
      this.#track(this.#warm(request, runSignal)),
    )
    const steps = withTicks(images, TICK_MS, () => this.#progress())
    const stored: Result[] = []
    let failed = 0
    try {
      yield this.#progress()
      for (let step = await steps.next(); step.done !== true; step = await steps.next()) {
        const item = step.value
        if ('is' in item) {
          yield item
          continue
        }
        if (item.content === undefined) failed += 1
        else stored.push(item)
        yield this.#imageLine(item)
      }
      for (const evicted of await this.#findEvicted(stored)) {
        failed += 1
        yield this.#imageLine(evicted)
      }
      yield this.#doneLine(failed)
    } finally {
      ending.abort()
      await steps.return(undefined).catch(() => {})
      this.#parts.close()
    }
  }

  async #warm(request: ImageRequest, signal: AbortSignal): Promise<Result> {
    const warmer = new ImageWarmer({
      target: this.#target,
      loader: this.#loader,
      parts: this.#parts,
      request,
      patience: new Patience(this.#waitMs),
      signal,
    })
    this.#active.add(warmer)
    try {
      return { warmer, content: await warmer.run(), error: undefined }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof WarmError)) throw error
      return { warmer, content: undefined, error: error.message }
    } finally {
      this.#active.delete(warmer)
      this.#ended += 1
    }
  }

  /** The last images may have evicted the first ones. */
  async #findEvicted(stored: readonly Result[]): Promise<readonly Result[]> {
    const evicted: Result[] = []
    for (const result of stored) {
      const { request, digests } = result.warmer
      const missing = await countMissing(this.#target, digests)
      if (missing === 0) continue
      const error = `parts of ${request.image} (${missing}) were evicted while other images were stored; raise --max-bytes, or warm fewer images`
      evicted.push({ ...result, content: undefined, error })
    }
    return evicted
  }

  #progress(): WarmProgress {
    const active = [...this.#active]
    const isPlanned =
      this.#ended + active.length === this.#requests.length && active.every((image) => image.isPlanned)
    return {
      is: 'progress',
      under: active.map(({ request, isPlanned: isImagePlanned, digests, waitsFor }) => ({
        ...this.#parts.imageProgress(request.image, isImagePlanned, digests),
        ...(waitsFor === undefined ? {} : { waitsFor }),
      })),
      images: this.#ended,
      ofImages: this.#requests.length,
      ...this.#parts.runProgress(isPlanned),
    }
  }

  #imageLine({ warmer, content, error }: Result): WarmedImage {
    const { request, digests, startedAt } = warmer
    const { parts, bytes, hereBytes, fetched } = this.#parts.totals(digests)
    const ms = Math.round(performance.now() - startedAt)
    publish('warm.ended', { image: request.image, digest: content?.digest, bytes, ms, error })
    return {
      is: 'image',
      image: request.image,
      digest: content?.digest ?? null,
      error: error ?? null,
      parts,
      bytes,
      hereBytes,
      fetched,
      referrers: content?.referrers.length ?? 0,
      foreign: content?.foreign ?? 0,
      pinned: content !== undefined && request.pin,
      stale: content?.isStale ?? false,
      ms,
    }
  }

  #doneLine(failed: number): WarmLine {
    const { bytes, hereBytes, fetched } = this.#parts.totals()
    const ms = Math.round(performance.now() - this.#startedAt)
    return { is: 'done', images: this.#requests.length, failed, bytes, hereBytes, fetched, ms }
  }
}
