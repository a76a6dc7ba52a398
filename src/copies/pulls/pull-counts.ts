import { BoundedMap } from '../../lib/bounded-map.ts'

/** Clients choose the images, so the number of those that are counted is bounded. */
const MOST_IMAGES = 10_000
/** So many times of an image are kept. Of more pulls, those within a tenth of the period are counted as one time's. */
const MOST_TIMES = 10

export interface PullCountsOptions {
  /** So many pulls are enough … */
  readonly times: number
  /** … within so long. */
  readonly withinMs: number
  readonly now?: () => number
}

/** Pulls that are forgotten together. */
interface Pulls {
  /** The time of the first of them. */
  readonly at: number
  count: number
}

/** Counts how often images were pulled lately. A restart begins at none. */
export class PullCounts {
  readonly #options: Required<PullCountsOptions>
  /** The last pulls of each image, the oldest first, fewer than are enough. */
  readonly #pulls = new BoundedMap<string, Pulls[]>(MOST_IMAGES)
  readonly #togetherMs: number

  constructor({ now = () => performance.now(), ...options }: PullCountsOptions) {
    this.#options = { ...options, now }
    this.#togetherMs = options.times > MOST_TIMES ? options.withinMs / MOST_TIMES : 0
  }

  /** Gives true when this pull makes them enough; the count then begins again. */
  add(image: string): boolean {
    const { times, withinMs, now } = this.#options
    const at = now()
    const pulls = this.#pulls.get(image) ?? []
    while (pulls[0] !== undefined && at - pulls[0].at > withinMs) pulls.shift()
    const last = pulls.at(-1)
    if (last !== undefined && at - last.at < this.#togetherMs) last.count += 1
    else pulls.push({ at, count: 1 })
    const isEnough = pulls.reduce((sum, { count }) => sum + count, 0) >= times
    if (isEnough) this.#pulls.delete(image)
    else this.#pulls.set(image, pulls)
    return isEnough
  }
}
