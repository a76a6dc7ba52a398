import { BoundedMap } from '../../../lib/bounded-map.ts'
import type { MemberId } from '../../identity/member.ts'

const KEPT_MS = 30 * 60_000
const MOST_KEPT = 256

/** Those who brought something slowly from upstream, and another was no faster: so it was not their fault, and is not again. */
export class Excused {
  readonly #until = new BoundedMap<MemberId, number>(MOST_KEPT)

  add(id: MemberId, now: number): void {
    this.#until.set(id, now + KEPT_MS)
  }

  has(id: MemberId, now: number): boolean {
    return (this.#until.get(id) ?? 0) > now
  }
}
