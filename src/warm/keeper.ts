import { onAbort } from '../lib/async/abort.ts'
import { backoffMs } from '../lib/async/backoff.ts'
import { Deferred } from '../lib/async/deferred.ts'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Fetching } from './images/fetching.ts'
import { countMissing, WarmingImage } from './images/image.ts'
import type { Order } from './images/order.ts'
import type { Place } from './images/place.ts'
import { Shortfall } from './images/shortfall.ts'
import { Tally } from './images/tally.ts'

/** How often it is looked whether a tag has moved, whatever its time to live is, and tried again what has failed. */
export interface Rhythm {
  readonly oftenMs: number
  readonly seldomMs: number
  readonly firstRetryMs: number
}

const RHYTHM: Rhythm = { oftenMs: 10_000, seldomMs: 5 * 60_000, firstRetryMs: 5_000 }

/** Keeps one image warm: has it all here at the start, and again when its tag has moved or a part of it has gone. */
export class Keeper {
  readonly #place: Place
  readonly #fetching: Fetching
  readonly #order: Order
  readonly #rhythm: Rhythm
  /** What it consisted of when it was last whole. */
  #parts: ReadonlySet<Digest> | undefined
  #digest: Digest | undefined
  #problem: string | undefined
  #failures = 0
  #wake: (() => void) | undefined

  constructor(place: Place, fetching: Fetching, order: Order, rhythm = RHYTHM) {
    this.#place = place
    this.#fetching = fetching
    this.#order = order
    this.#rhythm = rhythm
  }

  /** Until the signal is aborted. Never throws. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.#once(signal)
      await this.#pause(this.#pauseMs(), signal)
    }
  }

  /** Why it is not whole here now, in a sentence. What is missing is brought. */
  async lacking(): Promise<string | undefined> {
    const reason = await this.#reason()
    if (reason !== undefined && this.#problem === undefined) this.#wake?.()
    return reason
  }

  async #reason(): Promise<string | undefined> {
    const { image, reference } = this.#order
    if (this.#parts === undefined) return this.#problem ?? `${image} is not all here yet`
    const { repository, tag, digest } = reference
    if (tag !== undefined && digest === undefined) {
      const known = await this.#place.tag(repository, tag)
      if (known === undefined) return this.#problem ?? `${image} is no longer known`
      if (known.digest !== this.#digest) return this.#problem ?? `${image} has moved and is not all here yet`
    }
    const missing = await countMissing(this.#place, this.#parts)
    return missing === 0 ? undefined : (this.#problem ?? `${image} lacks ${missing} of its parts again`)
  }

  async #once(signal: AbortSignal): Promise<void> {
    const order = this.#order
    const startedAt = performance.now()
    const tally = new Tally(this.#place)
    try {
      const before = this.#digest ?? (await this.#knownDigest())
      const image = new WarmingImage(this.#place, this.#fetching, { tally, order, signal })
      const { digest } = await image.run()
      if (order.pin && before !== undefined && before !== digest) await this.#place.unpin(before)
      const { bytes, hereBytes } = tally.amounts()
      if (bytes > hereBytes || this.#problem !== undefined || this.#digest !== digest) {
        const ms = Math.round(performance.now() - startedAt)
        publish('warm.ended', { image: order.image, digest, bytes, ms, error: undefined })
      }
      this.#digest = digest
      this.#parts = image.parts
      this.#problem = undefined
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      this.#failed(error, performance.now() - startedAt)
    } finally {
      tally.close()
    }
  }

  #failed(error: unknown, ms: number): void {
    const { image } = this.#order
    const problem = error instanceof Shortfall ? error.message : `${image} could not be warmed`
    if (problem !== this.#problem) {
      publish('warm.ended', { image, digest: undefined, bytes: 0, ms: Math.round(ms), error: problem })
    }
    this.#problem = problem
    this.#failures += 1
  }

  async #knownDigest(): Promise<Digest | undefined> {
    const { repository, tag, digest } = this.#order.reference
    if (tag === undefined || digest !== undefined) return undefined
    return (await this.#place.tag(repository, tag))?.digest
  }

  /** Never at the same moment on every node. */
  #pauseMs(): number {
    const ttlMs = this.#place.tagTtlMs(this.#order.reference.repository)
    const { oftenMs, seldomMs, firstRetryMs } = this.#rhythm
    const usualMs = Math.min(Math.max(ttlMs, oftenMs), seldomMs)
    const retryMs = backoffMs(this.#failures, { firstMs: firstRetryMs, maxMs: seldomMs })
    return (this.#failures > 0 ? retryMs : usualMs) * (1 + Math.random() / 5)
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
