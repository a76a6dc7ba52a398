import { BoundedMap } from '../../lib/bounded-map.ts'

/** Clients choose the images, so the number of those that are counted is bounded. */
const MOST_IMAGES = 10_000

export interface PullCountsOptions {
  /** So many pulls are enough … */
  readonly times: number
  /** … within so long. */
  readonly withinMs: number
  readonly now?: () => number
}

/** Counts how often images were pulled lately. A restart begins at none. */
export class PullCounts {
  readonly #options: Required<PullCountsOptions>
  /** The times of the last pulls of each image, fewer than are enough. */
  readonly #pulls = new BoundedMap<string, readonly number[]>(MOST_IMAGES)

  constructor({ now = () => performance.now(), ...options }: PullCountsOptions) {
    this.#options = { ...options, now }
  }

  /** Gives true when this pull makes them enough; the count then begins again. */
  add(image: string): boolean {
    const { times, withinMs, now } = this.#options
    const at = now()
    const pulls = [...(this.#pulls.get(image) ?? []).filter((time) => at - time <= withinMs), at]
    const isEnough = pulls.length >= times
    this.#pulls.set(image, isEnough ? [] : pulls)
    return isEnough
  }
}
