import type { MemberId } from '../../identity/member.ts'

/** An agent without any link for this time is isolated, and no longer relies on what it knows of other members. */
const ISOLATED_MS = 9000

/** The members at the other ends of this agent's links. */
export class LinkedMembers {
  readonly #random: () => number
  readonly #ids: MemberId[] = []
  /** Linked members that have not sent their own record yet. */
  readonly #unintroduced = new Set<MemberId>()
  #withoutLinksSince: number

  constructor(now: number, random: () => number) {
    this.#random = random
    this.#withoutLinksSince = now
  }

  add(id: MemberId): void {
    if (!this.#ids.includes(id)) this.#ids.push(id)
    this.#unintroduced.add(id)
  }

  /** Returns whether the member was linked. */
  remove(id: MemberId, now: number): boolean {
    const at = this.#ids.indexOf(id)
    if (at === -1) return false
    this.#ids.splice(at, 1)
    this.#unintroduced.delete(id)
    if (this.#ids.length === 0) this.#withoutLinksSince = now
    return true
  }

  isIsolated(now: number): boolean {
    return this.#ids.length === 0 && now - this.#withoutLinksSince >= ISOLATED_MS
  }

  /** The member has sent its own record. Returns whether it is the first time on this link. */
  introduce(id: MemberId): boolean {
    return this.#unintroduced.delete(id)
  }

  /** Up to `count` random members. */
  choose(count: number): MemberId[] {
    const ids = this.#ids
    for (let at = 0; at < Math.min(count, ids.length); at += 1) {
      const other = at + Math.floor(this.#random() * (ids.length - at))
      const [one, two] = [ids[at], ids[other]]
      if (one === undefined || two === undefined) break
      ids[at] = two
      ids[other] = one
    }
    return ids.slice(0, count)
  }
}
