import { SLACK } from '../tree/choose-parent.ts'
import { isWanting, type Party, reachOf } from '../tree/participant.ts'
import type { Parties } from '../tree/participants.ts'
import { isStuck } from '../tree/progress-rates.ts'

/** So many may be failed by upstream one after the other, without a byte of progress, before it is the end for all. */
const MOST_FAILURES = 3
const MOST_ALONE = 2
/** A head gives way to one that is ahead of it by so much: what is here already need not come from upstream. */
const RELIEF = 4 * 2 ** 20
/** So long one waits for those who have it, but could not give it to this one. */
const PATIENCE_MS = 3000

/** Whose turn it is to ask upstream: one at a time for all, and at most two more for themselves. */
export class UpstreamTurns {
  readonly #parties: Parties
  readonly #now: () => number
  #failures = 0
  #alone = 0

  constructor(parties: Parties, now: () => number) {
    this.#parties = parties
    this.#now = now
  }

  /** Somebody brings it, or has it, or it is the end. */
  ensure(): void {
    if (this.#parties.head !== undefined || this.hasHolder()) return
    const isAtIt = [...this.#parties].find(
      ({ root, suspicions }) => root === 'alone' && !suspicions.isOutcast,
    )
    const next = this.#failures < MOST_FAILURES ? this.#best(this.#parties) : undefined
    if (isAtIt !== undefined) this.#parties.raise(isAtIt, 'head')
    else if (next !== undefined) this.send(next)
    else if (this.#failures > 0 || this.#haveAllFailed()) this.#end()
  }

  send(party: Party): void {
    this.#parties.raise(party, 'head')
    this.#parties.order({ to: party.id, do: 'fetch' })
  }

  /** It may be sent. */
  isFit(party: Party): boolean {
    const { hasFailed, suspicions } = party
    return isWanting(party) && !hasFailed && !suspicions.isOutcast && !this.#parties.isSilent(party)
  }

  hasHolder(): boolean {
    for (const party of this.#parties) {
      if (party.root === 'holder' && !party.suspicions.isOutcast && !this.#parties.isSilent(party))
        return true
    }
    return false
  }

  /** It was failed by upstream, or has got nothing of it for too long. */
  failed(party: Party): void {
    party.hasFailed = true
    this.#failures += 1
    this.#parties.stop(party)
  }

  /** Upstream gives something, or somebody has all of it. */
  succeeded(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    for (const party of this.#parties) party.hasFailed = false
  }

  /** One has come that has much of what the head has yet to bring. */
  relieve(party: Party): void {
    const { head, bytes = Number.POSITIVE_INFINITY } = this.#parties
    if (head === undefined || party === head || !this.#parties.mayTake(head, party)) return
    if (Math.min(reachOf(party), bytes) < head.position + RELIEF) return
    this.#parties.stop(head)
    if (isWanting(party)) this.send(party)
    this.#parties.place(head)
  }

  /** There are those who have it, and no head; but somebody cannot take it from any of them. */
  volunteer(): void {
    if (this.#parties.head !== undefined) return
    const before = this.#now() - PATIENCE_MS
    const without = [...this.#parties].filter(
      (party) => this.#parties.isWaiting(party) && party.pace.placedAt < before,
    )
    const next = this.#best(without)
    if (next !== undefined) this.send(next)
  }

  /** Upstream is there for whom nobody here can help; but only for a few, or it would be asked by all. */
  help(): void {
    if (this.#alone >= MOST_ALONE) return
    const now = this.#now()
    const stuck = [...this.#parties].filter((party) => isStuck(party, now) && !this.#parties.isSilent(party))
    for (const party of this.#parties.inOrder(stuck)) {
      if (this.#alone >= MOST_ALONE) return
      if (party.hasFailed) continue
      this.#alone += 1
      this.#parties.raise(party, 'alone')
      this.#parties.order({ to: party.id, do: 'alone' })
    }
  }

  /** Who has most of it; of those the owner, then whom the lot says. */
  #best(among: Iterable<Party>): Party | undefined {
    let best: Party | undefined
    for (const party of among) {
      if (!this.isFit(party)) continue
      if (best === undefined || party.position > best.position) best = party
      else if (party.position < best.position || best.id === this.#parties.self) continue
      else if (party.id === this.#parties.self || party.draw < best.draw) best = party
    }
    // What is known is a moment old. Its parent has had whatever it has.
    for (let next = best?.parent; next !== undefined && best !== undefined; next = next.parent) {
      if (!this.isFit(next) || next.position + SLACK < best.position) break
      best = next
    }
    return best
  }

  /** Also those who were failed before they came here. */
  #haveAllFailed(): boolean {
    const wanting = [...this.#parties].filter(isWanting)
    return wanting.length > 0 && wanting.every(({ hasFailed }) => hasFailed)
  }

  #end(): void {
    for (const party of [...this.#parties]) {
      if (!isWanting(party)) continue
      this.#parties.order({ to: party.id, do: 'end' })
      this.#parties.remove(party)
    }
    this.#failures = 0
  }
}
