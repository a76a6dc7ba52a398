import type { MemberId } from '../identity/member.ts'
import { RECORDS_AT_ONCE, SIGNS_AT_ONCE } from './gossip-messages.ts'

const MOST_RECORDS = 5 * RECORDS_AT_ONCE

export interface Rumour {
  readonly id: MemberId
  readonly kind: 'record' | 'sequence' | 'doubt' | 'goodbye'
  /** Who has told it. */
  readonly from: MemberId | undefined
  readonly rounds: number
}

/** What is still being passed on: of each member the latest. */
export class Rumours {
  readonly #all = new Map<MemberId, Rumour>()

  get size(): number {
    return this.#all.size
  }

  add(id: MemberId, kind: Rumour['kind'], rounds: number, from?: MemberId): void {
    const before = this.#all.get(id)
    this.#all.delete(id)
    if (before?.kind === 'record' && kind === 'sequence') {
      // A record tells that its member is alive, too.
      this.#all.set(id, { ...before, from, rounds: Math.max(before.rounds, rounds) })
    } else this.#all.set(id, { id, kind, from, rounds })
  }

  /** A bounded number, those first that were not told for longest. */
  round(): readonly Rumour[] {
    const round: Rumour[] = []
    let records = 0
    for (const rumour of this.#all.values()) {
      if (round.length === SIGNS_AT_ONCE) break
      if (rumour.kind === 'record' && records === MOST_RECORDS) continue
      if (rumour.kind === 'record') records += 1
      round.push(rumour)
    }
    for (const rumour of round) {
      this.#all.delete(rumour.id)
      if (rumour.rounds > 1) this.#all.set(rumour.id, { ...rumour, rounds: rumour.rounds - 1 })
    }
    return round
  }
}
