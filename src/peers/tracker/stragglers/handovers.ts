import type { MemberId } from '../../identity/member.ts'
import { PIECE, SLACK } from '../tree/choose-parent.ts'
import type { Party } from '../tree/participant.ts'
import type { Parties } from '../tree/participants.ts'
import { isBehind } from '../tree/tree.ts'
import type { Excused } from './excused.ts'
import type { UpstreamTurns } from './upstream-turns.ts'

/** A head is judged after so long. */
const TRY_MS = 3000
/** One that receives so much of the most that it has of late has a link that is full. */
const FULL = 0.7
/** Another is worth a try when it has received so much more of late, and was worth it when it then gets so much more. */
const CLEARLY = 2
const BETTER = 1.25
/** At less than so much it is better as it was. */
const WORSE = 0.7
/** What will be here sooner than in so long is left to the head that there is. */
const SOON_MS = 5000
/** Who lacks no more than this of what its parent has, or than what comes in so short a time, takes whatever there is. */
const LITTLE = 4 * PIECE
const LITTLE_MS = 250
/** Of those at least this much as fast as the fastest, the one that has most is next: what it lacks comes twice. */
const NEARLY = 0.5
const MOST_HANDOVERS = 2

interface Trial {
  readonly from: Party
  readonly to: Party
  /** What came while `from` was the head. */
  readonly rate: number
}

/**
 * A head with a slow link makes all as slow as it is, and looks like one whose upstream is slow. So another is tried when
 * the head gets no more than its link has ever carried of late, and the other one has had much more. Each speaks for
 * itself; who turns out to be no better than that is not believed again, and who turns out to be worse is no head any more.
 */
export class Handovers {
  readonly #parties: Parties
  readonly #turns: UpstreamTurns
  readonly #excused: Excused
  readonly #now: () => number
  readonly #disproved = new Set<MemberId>()
  #trial: Trial | undefined
  #left = MOST_HANDOVERS

  constructor(parties: Parties, turns: UpstreamTurns, excused: Excused, now: () => number) {
    this.#parties = parties
    this.#turns = turns
    this.#excused = excused
    this.#now = now
  }

  /** To be called now and then. */
  look(): void {
    const { head } = this.#parties
    if (this.#trial !== undefined) this.#judge(this.#trial)
    else if (head !== undefined && this.#left > 0) this.#consider(head)
  }

  #consider(head: Party): void {
    const { pace, word } = head
    if (word.best === undefined || this.#now() - pace.placedAt < TRY_MS) return
    const receives = Math.max(pace.rate, word.now ?? 0)
    if (receives < FULL * word.best || this.#excused.has(head.id, this.#now())) return
    if (!this.#isLong(head) || !this.#doAllStarve(head)) return
    const next = this.#next(head, CLEARLY * Math.max(receives, word.best))
    if (next === undefined) return
    this.#left -= 1
    this.#trial = { from: head, to: next, rate: pace.rate }
    this.#handOver(head, next)
  }

  #judge({ from, to, rate }: Trial): void {
    const isHead = this.#parties.head === to
    if (isHead && this.#now() - to.pace.placedAt < TRY_MS) return
    this.#trial = undefined
    if (to.root === 'holder' || (isHead && to.pace.rate >= BETTER * rate)) return
    this.#disproved.add(to.id)
    from.isSlow = false
    if (!isHead) return
    if (to.pace.rate >= WORSE * rate) this.#excused.add(from.id, this.#now())
    else if (this.#mayFollow(to, from)) this.#handOver(to, from)
  }

  #isLong({ position, pace }: Party): boolean {
    const { bytes } = this.#parties
    return bytes !== undefined && pace.rate > 0 && bytes - position > (pace.rate * SOON_MS) / 1000
  }

  /** They have what there is, but those who are slow themselves. */
  #doAllStarve({ children, position, pace }: Party): boolean {
    const takers = [...children].filter(({ isSlow }) => !isSlow)
    const little = Math.max(LITTLE, (pace.rate * LITTLE_MS) / 1000)
    return takers.length > 0 && takers.every((taker) => position - taker.position <= little)
  }

  /** Of those behind it who have told of so much at least. */
  #next(head: Party, least: number): Party | undefined {
    const fit = [...this.#parties].filter(
      (party) => bestOf(party) >= least && isBehind(party, head) && this.#mayFollow(head, party),
    )
    const fastest = Math.max(...fit.map(bestOf))
    const [next] = this.#parties.inOrder(fit.filter((party) => bestOf(party) >= NEARLY * fastest))
    return next
  }

  #mayFollow(head: Party, party: Party): boolean {
    const isHere = this.#parties.get(party.id) === party && party !== head
    const isFit = !party.isSlow && !this.#disproved.has(party.id) && this.#turns.isFit(party)
    return isHere && isFit && head.position - party.position <= SLACK
  }

  /** Those who took from the one take from the other, and so does it itself, as the last. */
  #handOver(from: Party, to: Party): void {
    this.#parties.stop(from)
    this.#turns.send(to)
    from.isSlow = true
    for (const party of this.#parties.inOrder(this.#parties.scatter(from.children)))
      this.#parties.place(party)
    this.#parties.place(from)
  }
}

function bestOf({ word }: Party): number {
  return word.best ?? 0
}
