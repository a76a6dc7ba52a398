import type { MemberId } from '../../identity/member.ts'
import { MAX_HEARTBEATS_PER_MESSAGE, MAX_RECORDS_PER_MESSAGE } from './gossip-messages.ts'

/** In how many rounds a change is sent on; each round reaches a few of the links. A heartbeat may miss some members. */
const ROUNDS = { record: 4, heartbeat: 1, refutation: 4, suspect: 4, goodbye: 4 } as const
/** A record is about ten times as large as a heartbeat, so one round sends five messages full of records at most. */
const MAX_RECORDS_PER_ROUND = 5 * MAX_RECORDS_PER_MESSAGE

/** A refutation is the heartbeat of a member that was suspected. */
export type BroadcastKind = keyof typeof ROUNDS

/** A change of one member that this node still has to send on to some of its links. */
export interface Broadcast {
  readonly id: MemberId
  readonly kind: BroadcastKind
  /** The member that this node has it from, which need not get it back; undefined for this node's own changes. */
  readonly from: MemberId | undefined
  readonly roundsLeft: number
}

/** Contains the latest change of each member for as many rounds as it has to be sent. */
export class BroadcastQueue {
  readonly #broadcasts = new Map<MemberId, Broadcast>()

  get size(): number {
    return this.#broadcasts.size
  }

  add(id: MemberId, kind: BroadcastKind, from?: MemberId): void {
    const before = this.#broadcasts.get(id)
    const rounds = ROUNDS[kind]
    this.#broadcasts.delete(id)
    if (before?.kind === 'record' && (kind === 'heartbeat' || kind === 'refutation')) {
      // A record is sent with the latest heartbeat, so the heartbeat must not replace it.
      const roundsLeft = Math.max(before.roundsLeft, rounds)
      this.#broadcasts.set(id, { ...before, from, roundsLeft })
    } else this.#broadcasts.set(id, { id, kind, from, roundsLeft: rounds })
  }

  /** The broadcasts to send in this round: a bounded number, beginning with those that have waited for longest. */
  takeRound(): readonly Broadcast[] {
    const round: Broadcast[] = []
    let records = 0
    for (const broadcast of this.#broadcasts.values()) {
      if (round.length === MAX_HEARTBEATS_PER_MESSAGE) break
      if (broadcast.kind === 'record' && records === MAX_RECORDS_PER_ROUND) continue
      if (broadcast.kind === 'record') records += 1
      round.push(broadcast)
    }
    for (const broadcast of round) {
      this.#broadcasts.delete(broadcast.id)
      if (broadcast.roundsLeft > 1) {
        this.#broadcasts.set(broadcast.id, { ...broadcast, roundsLeft: broadcast.roundsLeft - 1 })
      }
    }
    return round
  }
}
