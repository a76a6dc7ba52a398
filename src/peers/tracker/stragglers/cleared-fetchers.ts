import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'

/** A member's link and its upstream seldom change within half an hour. */
const REMEMBERED_MS = 30 * 60_000
/** Bounds the memory: members are remembered that were cleared last. */
const MAX_REMEMBERED = 256

/** Fetchers that were slow, until a trial of another fetcher showed that upstream was. All plans of a tracker share them. */
export class ClearedFetchers {
  readonly #untilMs = new BoundedMap<MemberId, number>(MAX_REMEMBERED)

  add(id: MemberId, nowMs: number): void {
    this.#untilMs.set(id, nowMs + REMEMBERED_MS)
  }

  has(id: MemberId, nowMs: number): boolean {
    return (this.#untilMs.get(id) ?? 0) > nowMs
  }
}
