import type { MemberId } from './member.ts'

const KEPT_MS = 30 * 60_000
const MOST_KEPT = 256

/** Those who brought something slowly from upstream, and another was no faster: so it was not their fault, and is not again. */
export class Excused {
  readonly #until = new Map<MemberId, number>()

  add(id: MemberId, now: number): void {
    this.#until.delete(id)
    this.#until.set(id, now + KEPT_MS)
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= MOST_KEPT) break
      this.#until.delete(oldest)
    }
  }

  has(id: MemberId, now: number): boolean {
    return (this.#until.get(id) ?? 0) > now
  }
}
