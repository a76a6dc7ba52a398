import type { MemberId } from '../identity/member.ts'
import { SLACK_BYTES } from './tree/choose-parent.ts'
import { givableEnd, type Participant } from './tree/participant.ts'
import type { Participants } from './tree/participants.ts'
import { attach, isInSubtree } from './tree/tree.ts'
import type { UpstreamRoles } from './tree/upstream-roles.ts'

/** Participants of a former owner notice its end, and join the next one, within this time. */
const TAKEOVER_MS = 300

/** A member, or upstream, from which a participant takes the content by instruction of a former owner. */
export type FormerSource = MemberId | 'upstream'

/**
 * What participants do by instruction of a former owner, and may go on to do. When the former owner has just gone, a takeover
 * begins: the plan instructs no participant until all of them have had time to join, because instructions to the first of
 * them would interrupt what they all do together.
 */
export class FormerSources {
  readonly #participants: Participants
  readonly #upstream: UpstreamRoles
  readonly #now: () => number
  readonly #takeoverEndsMs: number
  /** Undefined while no takeover is under way. */
  #sources: Map<Participant, FormerSource> | undefined

  constructor(
    participants: Participants,
    upstream: UpstreamRoles,
    { isTakeover, now }: { isTakeover: boolean; now: () => number },
  ) {
    this.#participants = participants
    this.#upstream = upstream
    this.#now = now
    this.#takeoverEndsMs = now() + TAKEOVER_MS
    if (isTakeover) this.#sources = new Map()
  }

  get isTakeover(): boolean {
    return this.#sources !== undefined
  }

  get isTakeoverDue(): boolean {
    return this.isTakeover && this.#now() >= this.#takeoverEndsMs
  }

  /** Lets the participant go on with its source where that fits the plan: now, or at the end of the takeover. */
  add(participant: Participant, source: FormerSource): void {
    if (this.#sources !== undefined) this.#sources.set(participant, source)
    else this.#keep(participant, source)
  }

  /** The participant no longer takes from its source or, with `source`, no longer from that one. */
  delete(participant: Participant, source?: FormerSource): void {
    if (source !== undefined && this.#sources?.get(participant) !== source) return
    this.#sources?.delete(participant)
  }

  /** Ends the takeover. Of the participants that ask upstream, the one that is furthest ahead goes on. */
  endTakeover(): void {
    const sources = [...(this.#sources ?? [])].sort(([one], [other]) => other.position - one.position)
    this.#sources = undefined
    for (const [participant, source] of sources) if (source !== 'upstream') this.#keep(participant, source)
    for (const [participant, source] of sources) if (source === 'upstream') this.#keep(participant, source)
  }

  #keep(participant: Participant, source: FormerSource): void {
    if (!this.#participants.isWaiting(participant)) return
    if (source === 'upstream') {
      const isNeeded = this.#participants.fetcher === undefined && !this.#upstream.hasSeeder()
      if (isNeeded) this.#participants.setRole(participant, 'fetcher')
      return
    }
    const parent = this.#participants.get(source)
    if (parent === undefined || isInSubtree(parent, participant)) return
    if (!this.#participants.mayTake(participant, parent)) return
    if (givableEnd(parent) + SLACK_BYTES >= participant.position) attach(participant, parent)
  }
}
