import type { Member, MemberId } from '../identity/member.ts'
import type { Hearsay } from './rate-limit-notices.ts'

/** The agents that know the secret of the swarm and are there now. */
export interface Membership {
  readonly self: Member
  /** All but this one. */
  others(): readonly Member[]
  get(id: MemberId): Member | undefined
  /** Why it is not there any more, while that is remembered: it has said so, or was silent. */
  departure(id: MemberId): 'left' | 'silent' | undefined
  /** Gives back what ends the listening. */
  onChange(listener: () => void): () => void
  readonly hearsay: Hearsay
}
