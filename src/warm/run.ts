import { setMaxListeners } from 'node:events'
import { mapConcurrently } from '../lib/async/map-concurrently.ts'
import { withTicks } from '../lib/async/with-ticks.ts'
import { publish } from '../observe/events.ts'
import type { WarmedImage, WarmLine, WarmProgress } from '../schemas/warm-report.ts'
import type { Fetching } from './images/fetching.ts'
import { countMissing, WarmingImage } from './images/image.ts'
import type { Order } from './images/order.ts'
import type { Place } from './images/place.ts'
import { Shortfall } from './images/shortfall.ts'
import { Tally } from './images/tally.ts'
import type { Found } from './images/walk.ts'

const TICK_MS = 500
const IMAGES_AT_ONCE = 4

type Track = <Result>(work: Promise<Result>) => Promise<Result>

interface Ended {
  readonly order: Order
  readonly image: WarmingImage
  readonly found: Found | undefined
  readonly error: string | undefined
}

/** Some images that somebody waits for, from the first question to the last look whether all is there. */
export class Run {
  readonly #place: Place
  readonly #fetching: Fetching
  readonly #orders: readonly Order[]
  readonly #track: Track
  readonly #tally: Tally
  readonly #under = new Set<WarmingImage>()
  readonly #startedAt = performance.now()
  #ended = 0

  /** `track` is given the work on each image, which goes on for a moment when nobody takes lines any more. */
  constructor(
    place: Place,
    fetching: Fetching,
    { orders, track }: { orders: readonly Order[]; track: Track },
  ) {
    this.#place = place
    this.#fetching = fetching
    this.#orders = orders
    this.#track = track
    this.#tally = new Tally(place)
  }

  /** The last one is `done`. Throws the signal's reason. */
  async *lines({ signal }: { signal: AbortSignal }): AsyncGenerator<WarmLine> {
    const leaving = new AbortController()
    const either = AbortSignal.any([signal, leaving.signal])
    // As many as an image has parts.
    setMaxListeners(0, either)
    const images = mapConcurrently(this.#orders, IMAGES_AT_ONCE, (order) =>
      this.#track(this.#warm(order, either)),
    )
    const steps = withTicks(images, TICK_MS, () => this.#progress())
    const whole: Ended[] = []
    let failed = 0
    try {
      yield this.#progress()
      for (let step = await steps.next(); step.done !== true; step = await steps.next()) {
        const item = step.value
        if ('is' in item) {
          yield item
          continue
        }
        if (item.found === undefined) failed += 1
        else whole.push(item)
        yield this.#line(item)
      }
      for (const lost of await this.#lost(whole)) {
        failed += 1
        yield this.#line(lost)
      }
      yield this.#done(failed)
    } finally {
      leaving.abort()
      await steps.return(undefined).catch(() => {})
      this.#tally.close()
    }
  }

  async #warm(order: Order, signal: AbortSignal): Promise<Ended> {
    const image = new WarmingImage(this.#place, this.#fetching, { tally: this.#tally, order, signal })
    this.#under.add(image)
    try {
      return { order, image, found: await image.run(), error: undefined }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof Shortfall)) throw error
      return { order, image, found: undefined, error: error.message }
    } finally {
      this.#under.delete(image)
      this.#ended += 1
    }
  }

  /** What came last may have pushed out what came first. */
  async #lost(whole: readonly Ended[]): Promise<readonly Ended[]> {
    const lost: Ended[] = []
    for (const ended of whole) {
      const missing = await countMissing(this.#place, ended.image.parts)
      if (missing === 0) continue
      const error = `${ended.order.image} lost ${missing} of its parts again while others came: there is room for too little; raise --max-bytes, or warm less`
      lost.push({ ...ended, found: undefined, error })
    }
    return lost
  }

  #progress(): WarmProgress {
    const under = [...this.#under]
    const isPlanned =
      this.#ended + under.length === this.#orders.length && under.every((image) => image.isPlanned)
    return {
      is: 'progress',
      under: under.map(({ order, isPlanned: its, parts }) => this.#tally.image(order.image, its, parts)),
      images: this.#ended,
      ofImages: this.#orders.length,
      ...this.#tally.total(isPlanned),
    }
  }

  #line({ order, image, found, error }: Ended): WarmedImage {
    const { parts, bytes, hereBytes, fetched } = this.#tally.amounts(image.parts)
    const ms = Math.round(performance.now() - image.startedAt)
    publish('warm.ended', { image: order.image, digest: found?.digest, bytes, ms, error })
    return {
      is: 'image',
      image: order.image,
      digest: found?.digest ?? null,
      error: error ?? null,
      parts,
      bytes,
      hereBytes,
      fetched,
      referrers: found?.referrers.length ?? 0,
      foreign: found?.foreign ?? 0,
      pinned: found !== undefined && order.pin,
      stale: found?.stale ?? false,
      ms,
    }
  }

  #done(failed: number): WarmLine {
    const { bytes, hereBytes, fetched } = this.#tally.amounts()
    const ms = Math.round(performance.now() - this.#startedAt)
    return { is: 'done', images: this.#orders.length, failed, bytes, hereBytes, fetched, ms }
  }
}
