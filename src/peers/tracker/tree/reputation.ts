import { backoffMs } from '../../../lib/async/backoff.ts'
import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'

const FIRST_AVOIDANCE_MS = 1000
const MAX_AVOIDANCE_MS = 30_000
/** Bounds the memory per parent: losses are remembered of the 64 children that lost it last. */
const MAX_LOSSES = 64

/** The reputation of one participant as a parent: the losses and the blame that its children have reported. */
export class Reputation {
  readonly #losses = new BoundedMap<MemberId, { times: number; untilMs: number }>(MAX_LOSSES)
  readonly #blamers = new Set<MemberId>()
  #isBanned = false
  /** Until when every child avoids this parent. */
  #avoidedUntilMs = 0

  /** How many children have reported something. */
  get size(): number {
    return this.#losses.size + this.#blamers.size
  }

  /** A banned participant never becomes a parent again. */
  get isBanned(): boolean {
    return this.#isBanned
  }

  /**
   * The parent broke off, stalled or did not have the content for this child. The child avoids the parent for a time that
   * grows with each loss. When several children lost the parent, all children avoid it: a parent that never answers has
   * no children, and would otherwise be the best choice for every child.
   */
  addLoss(child: MemberId, nowMs: number): void {
    const times = (this.#losses.get(child)?.times ?? 0) + 1
    this.#losses.set(child, { times, untilMs: nowMs + avoidanceMs(times) })
    if (this.#losses.size > 1) this.#avoidedUntilMs = nowMs + avoidanceMs(this.#losses.size - 1)
  }

  /**
   * The parent gave wrong bytes to this child, which never takes from it again. The parent is banned when two children blame
   * it, or one that has upstream's own bytes and so is certain.
   */
  addBlame(child: MemberId, isCertain: boolean): void {
    if (this.#isBanned) return
    this.#blamers.add(child)
    if (isCertain || this.#blamers.size > 1) this.#isBanned = true
  }

  /** The parent delivers to this child, so its losses are forgotten. */
  clearLoss(child: MemberId): void {
    if (this.#losses.size === 0) return
    this.#losses.delete(child)
    this.#avoidedUntilMs = 0
  }

  isAvoidedBy(child: MemberId, nowMs: number): boolean {
    if (this.#isBanned || this.#avoidedUntilMs > nowMs || this.#blamers.has(child)) return true
    return (this.#losses.get(child)?.untilMs ?? 0) > nowMs
  }
}

function avoidanceMs(times: number): number {
  return backoffMs(times, { firstMs: FIRST_AVOIDANCE_MS, maxMs: MAX_AVOIDANCE_MS })
}
