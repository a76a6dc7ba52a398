import { sizeText } from '../../observe/text.ts'
import type { Digest } from '../../oci/digest.ts'
import { referenceText } from '../../oci/names/reference.ts'
import { Failure } from '../../ports/failure.ts'
import type { Fetching } from './fetching.ts'
import type { Order } from './order.ts'
import type { Place } from './place.ts'
import { type Missed, Shortfall, shortfall } from './shortfall.ts'
import type { Tally } from './tally.ts'
import { type Found, Walk } from './walk.ts'

/** One image on its way to be warm. */
export class WarmingImage {
  readonly order: Order
  readonly startedAt = performance.now()
  readonly #place: Place
  readonly #tally: Tally
  readonly #signal: AbortSignal
  readonly #walk: Walk
  #isPlanned = false

  constructor(
    place: Place,
    fetching: Fetching,
    { tally, order, signal }: { tally: Tally; order: Order; signal: AbortSignal },
  ) {
    this.order = order
    this.#place = place
    this.#tally = tally
    this.#signal = signal
    this.#walk = new Walk(place, fetching, { tally, order, signal })
  }

  /** It is known what it consists of. */
  get isPlanned(): boolean {
    return this.#isPlanned
  }

  get parts(): ReadonlySet<Digest> {
    return this.#walk.parts
  }

  /** Until all of it is stored. Throws a `Shortfall`, or the reason of the signal. */
  async run(): Promise<Found> {
    try {
      const { reference, pin } = this.order
      if (!this.#place.allowed(reference.repository)) {
        throw new Shortfall(`${referenceText(reference)} is not among what this agent may serve; see --allow`)
      }
      const found = await this.#walk.run()
      this.#isPlanned = true
      this.#checkRoom()
      await this.#bring(found)
      if (pin) for (const digest of [found.digest, ...found.referrers]) await this.#place.pin(digest)
      return found
    } catch (error) {
      this.#signal.throwIfAborted()
      throw shortfall(error, this.order.reference, await this.#missed(error))
    }
  }

  async #bring({ blobs }: Found): Promise<void> {
    const failed: unknown[] = []
    await Promise.all(
      [...blobs.values()].map(async (part) => {
        // One that failed says enough; what has been begun is brought to its end.
        if (failed.length > 0) return
        await this.#walk.blob(part).catch((error: unknown) => failed.push(error))
      }),
    )
    if (failed.length > 0) throw failed[0]
  }

  /** Together with the other images that are asked for: what would push out the first for the last is not begun. */
  #checkRoom(): void {
    const limit = this.#place.limitBytes()
    const { ofBytes } = this.#tally.amounts()
    if (limit === undefined || ofBytes <= limit) return
    const own = this.#tally.amounts(this.parts).ofBytes
    const others = ofBytes > own ? `, ${sizeText(ofBytes)} together with the others` : ''
    throw new Shortfall(
      `${referenceText(this.order.reference)} needs ${sizeText(own)}${others}, and at most ${sizeText(limit)} are kept here; raise --max-bytes, or warm less`,
    )
  }

  /** For what is not there: whether it is the tag that is wrong, or the name. */
  async #missed(error: unknown): Promise<Missed> {
    if (this.parts.size > 0) return 'part'
    const { repository, tag, digest } = this.order.reference
    if (!(error instanceof Failure) || error.code !== 'absent') return 'image'
    if (tag === undefined || digest !== undefined) return 'image'
    try {
      const { tags } = await this.#place.resolver.tags(repository, { signal: this.#signal })
      return tags.length > 0 ? 'tag' : 'image'
    } catch {
      return 'image'
    }
  }
}

/** How many of these are not stored, or no longer. */
export async function countMissing(place: Place, digests: Iterable<Digest>): Promise<number> {
  let missing = 0
  for (const digest of digests) if ((await place.stored(digest)) === undefined) missing += 1
  return missing
}
