import { backoffMs } from '../../../lib/async/backoff.ts'
import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'

const FIRST_AVOIDANCE_MS = 1000
const LONGEST_AVOIDANCE_MS = 30_000
/** Whose losses are known one by one, the latest. */
const MOST_LOSERS = 64

/** What others have against one member as their parent. */
export class Suspicions {
  readonly #losses = new BoundedMap<MemberId, { times: number; until: number }>(MOST_LOSERS)
  readonly #blamers = new Set<MemberId>()
  #isOutcast = false
  #until = 0

  /** How many have something against it. */
  get size(): number {
    return this.#losses.size + this.#blamers.size
  }

  /** Nobody is to take from it any more. */
  get isOutcast(): boolean {
    return this.#isOutcast
  }

  /**
   * It broke off, stood still or had not got it, for this child. The child leaves it alone for a while, longer each time;
   * so does everybody when it happened to several, or else one who does not answer, and so is never busy, would be
   * everyone's first choice.
   */
  lose(child: MemberId, now: number): void {
    const times = (this.#losses.get(child)?.times ?? 0) + 1
    this.#losses.set(child, { times, until: now + avoidance(times) })
    if (this.#losses.size > 1) this.#until = now + avoidance(this.#losses.size - 1)
  }

  /** It gave wrong bytes to this child, which will not take from it again. What two say, or one who must know, holds for all. */
  blame(child: MemberId, isCertain: boolean): void {
    if (this.#isOutcast) return
    this.#blamers.add(child)
    if (isCertain || this.#blamers.size > 1) this.#isOutcast = true
  }

  /** It delivers: what was has passed. */
  clear(child: MemberId): void {
    if (this.#losses.size === 0) return
    this.#losses.delete(child)
    this.#until = 0
  }

  /** Whether `child` is to have nothing to do with it now. */
  areHeldBy(child: MemberId, now: number): boolean {
    if (this.#isOutcast || this.#until > now || this.#blamers.has(child)) return true
    return (this.#losses.get(child)?.until ?? 0) > now
  }
}

function avoidance(times: number): number {
  return backoffMs(times, { firstMs: FIRST_AVOIDANCE_MS, mostMs: LONGEST_AVOIDANCE_MS })
}
