import { PIECE } from '../tree/choose-parent.ts'
import { isWanting, type Party, reachOf } from '../tree/participant.ts'
import type { Parties } from '../tree/participants.ts'
import { isBehind, isGrounded } from '../tree/tree.ts'
import type { UpstreamTurns } from './upstream-turns.ts'

/** In bytes per second: at so little from one that has it all, another is worth a try, at still less upstream as well. */
const LITTLE = 2 * PIECE
const HARDLY_ANY = PIECE
/** A place is judged after so long, by as much more or less as it takes to be sure. */
const TRY_MS = 2000
const BETTER = 1.5
/** Who will have it so soon stays where it is. */
const SOON_MS = 5000

interface Trial {
  readonly from: Party
  readonly to: Party
  /** What `from` gave. */
  readonly rate: number
}

/**
 * Those that have it all and give next to nothing. How fast one can give that had it before is not known until it does,
 * and those who take from it have nobody to be compared with: so one of them tries another, each once. Where it is better
 * the others follow, and where it was better before it goes back.
 */
export class Reluctant {
  readonly #parties: Parties
  readonly #turns: UpstreamTurns
  readonly #now: () => number
  readonly #trials = new Map<Party, Trial>()
  #hasAskedUpstream = false

  constructor(parties: Parties, turns: UpstreamTurns, now: () => number) {
    this.#parties = parties
    this.#turns = turns
    this.#now = now
  }

  /** To be called now and then. Gives those who need another place. */
  look(): Party[] {
    const left = [...this.#trials].flatMap(([party, trial]) => this.#judge(party, trial))
    const { bytes } = this.#parties
    if (bytes === undefined) return left
    for (const parent of this.#parties) {
      if (parent.root !== 'holder') continue
      const taker = this.#dissatisfied(parent, bytes)
      if (taker !== undefined) this.#leave(taker, parent)
    }
    return left
  }

  #judge(party: Party, { from, to, rate }: Trial): Party[] {
    const isThere = this.#parties.get(party.id) === party && party.parent === to
    if (isThere && this.#now() - party.pace.placedAt < TRY_MS) return []
    this.#trials.delete(party)
    if (isThere && party.pace.rate >= BETTER * rate) return this.#parties.scatter(from.children)
    // It gives as much as others do, or nothing was shown. Where it gives more, it is another's turn to be left.
    from.isSlow = false
    return []
  }

  /** One of those who get next to nothing from it, if they all do. */
  #dissatisfied(parent: Party, bytes: number): Party | undefined {
    const takers = [...parent.children]
    const before = this.#now() - TRY_MS
    const areAll = takers.every(({ pace }) => pace.placedAt <= before && pace.rate <= LITTLE)
    if (!areAll || [...this.#trials.values()].some(({ from }) => from === parent)) return undefined
    return takers.find(
      (taker) => !this.#trials.has(taker) && bytes - taker.position > (taker.pace.rate * SOON_MS) / 1000,
    )
  }

  #leave(taker: Party, parent: Party): void {
    const { rate } = taker.pace
    const other = this.#other(taker, parent)
    if (other !== undefined) {
      this.#parties.give(taker, other)
      this.#trials.set(taker, { from: parent, to: other, rate })
    } else if (this.#mayAsk(taker)) {
      this.#hasAskedUpstream = true
      this.#turns.send(taker)
    } else return
    parent.isSlow = true
    parent.pace.gives = rate
  }

  /** One that may give more, of its zone if there is one, and to few. */
  #other(taker: Party, parent: Party): Party | undefined {
    let best: Party | undefined
    for (const party of this.#parties) {
      if (!this.#mayGiveMore(party, taker, parent)) continue
      if (best === undefined || costOf(party, taker) < costOf(best, taker)) best = party
    }
    return best
  }

  #mayGiveMore(party: Party, taker: Party, parent: Party): boolean {
    if (party.isSlow || !isGrounded(party) || !this.#parties.mayTake(taker, party)) return false
    if (reachOf(party) < taker.position + PIECE || isBehind(party, parent) || isBehind(party, taker))
      return false
    return (party.pace.gives ?? this.#shownBy(party)) >= BETTER * Math.max(taker.pace.rate, 1)
  }

  /** How much it gives, as far as that is seen; who gives to nobody, or has only begun to, may give anything. */
  #shownBy(party: Party): number {
    if (isWanting(party)) return party.pace.rate
    const before = this.#now() - TRY_MS
    const takers = [...party.children].filter(({ pace }) => pace.placedAt <= before)
    return takers.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...takers.map(({ pace }) => pace.rate))
  }

  /** Once: who asks upstream goes on with it to the end. */
  #mayAsk({ hasFailed, suspicions, pace }: Party): boolean {
    const isFit = !hasFailed && !suspicions.isOutcast && pace.rate <= HARDLY_ANY
    return isFit && this.#trials.size === 0 && !this.#hasAskedUpstream && this.#parties.head === undefined
  }
}

function costOf({ zone, children }: Party, taker: Party): number {
  return (zone === taker.zone ? 0 : 1000) + children.size
}
