import { onAbort } from '../lib/async/abort.ts'
import { backoffMs } from '../lib/async/backoff.ts'
import { Deferred } from '../lib/async/deferred.ts'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { referenceText } from '../oci/names/reference.ts'
import type { ContentLoader } from './content/content-loader.ts'
import { Patience } from './content/patience.ts'
import { WarmParts } from './content/warm-parts.ts'
import type { WarmTarget } from './content/warm-target.ts'
import type { ImageRequest } from './images/image-request.ts'
import { countMissing, ImageWarmer } from './images/image-warmer.ts'
import { WarmError } from './images/warm-error.ts'

/** The pause between two checks is the tag's TTL within these bounds; after a failure it grows from the first retry. */
export interface CheckIntervals {
  readonly minMs: number
  readonly maxMs: number
  readonly firstRetryMs: number
}

const CHECK_INTERVALS: CheckIntervals = { minMs: 10_000, maxMs: 5 * 60_000, firstRetryMs: 5_000 }

/** Keeps one image warm: stores it at the start, and again when its tag has moved or a part of it is gone. */
export class Keeper {
  readonly #target: WarmTarget
  readonly #loader: ContentLoader
  readonly #request: ImageRequest
  readonly #intervals: CheckIntervals
  /** The parts of the image when it was stored last. */
  #digests: ReadonlySet<Digest> | undefined
  #digest: Digest | undefined
  #error: string | undefined
  #failures = 0
  #wake: (() => void) | undefined

  constructor(target: WarmTarget, loader: ContentLoader, request: ImageRequest, intervals = CHECK_INTERVALS) {
    this.#target = target
    this.#loader = loader
    this.#request = request
    this.#intervals = intervals
  }

  /** Runs until the signal is aborted. Never throws. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.#warm(signal)
      await this.#pause(this.#pauseMs(), signal)
    }
  }

  /** Why the image is not completely stored, in a sentence. What is missing is then fetched at once. */
  async lacking(): Promise<string | undefined> {
    const reason = await this.#reason()
    if (reason !== undefined && this.#error === undefined) this.#wake?.()
    return reason
  }

  async #reason(): Promise<string | undefined> {
    const { image, reference } = this.#request
    if (this.#digests === undefined) return this.#error ?? `${image} is not completely stored yet`
    const { repository, tag, digest } = reference
    if (tag !== undefined && digest === undefined) {
      const known = await this.#target.tag(repository, tag)
      if (known === undefined) return this.#error ?? `the tag of ${image} is no longer known`
      if (known.digest !== this.#digest)
        return this.#error ?? `the tag of ${image} has moved, and the new image is not completely stored yet`
    }
    const missing = await countMissing(this.#target, this.#digests)
    return missing === 0 ? undefined : (this.#error ?? `parts of ${image} are no longer stored: ${missing}`)
  }

  async #warm(signal: AbortSignal): Promise<void> {
    const request = this.#request
    const startedAt = performance.now()
    const parts = new WarmParts(this.#target)
    try {
      const before = this.#digest ?? (await this.#knownDigest())
      // The keeper has pauses of its own.
      const patience = new Patience(0)
      const [target, loader] = [this.#target, this.#loader]
      const warmer = new ImageWarmer({ target, loader, parts, request, patience, signal })
      const { digest } = await warmer.run()
      if (request.pin && before !== undefined && before !== digest)
        await this.#target.unpin(before, referenceText(request.reference))
      const { bytes, hereBytes } = parts.totals()
      if (bytes > hereBytes || this.#error !== undefined || this.#digest !== digest) {
        const ms = Math.round(performance.now() - startedAt)
        publish('warm.ended', { image: request.image, digest, bytes, ms, error: undefined })
      }
      this.#digest = digest
      this.#digests = warmer.digests
      this.#error = undefined
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      this.#fail(error, performance.now() - startedAt)
    } finally {
      parts.close()
    }
  }

  /** Publishes the error once, however often it occurs in succession. */
  #fail(cause: unknown, ms: number): void {
    const { image } = this.#request
    const error =
      cause instanceof WarmError
        ? cause.message
        : `${image} could not be warmed because of an internal error; see the log of the agent`
    if (error !== this.#error) {
      publish('warm.ended', { image, digest: undefined, bytes: 0, ms: Math.round(ms), error })
    }
    this.#error = error
    this.#failures += 1
  }

  async #knownDigest(): Promise<Digest | undefined> {
    const { repository, tag, digest } = this.#request.reference
    if (tag === undefined || digest !== undefined) return undefined
    return (await this.#target.tag(repository, tag))?.digest
  }

  /** The pause is random, so that not all nodes of a swarm check at the same time. */
  #pauseMs(): number {
    const ttlMs = this.#target.tagTtlMs(this.#request.reference.repository)
    const { minMs, maxMs, firstRetryMs } = this.#intervals
    const checkMs = Math.min(Math.max(ttlMs, minMs), maxMs)
    const retryMs = backoffMs(this.#failures, { firstMs: firstRetryMs, maxMs })
    return (this.#failures > 0 ? retryMs : checkMs) * (1 + Math.random() / 5)
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = new Deferred<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, ms)
    const stop = onAbort(signal, resolve)
    await promise
    clearTimeout(timer)
    stop()
    this.#wake = undefined
  }
}
