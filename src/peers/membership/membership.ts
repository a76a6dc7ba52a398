import type { Member, MemberId } from '../identity/member.ts'
import type { NoticeChannel } from './gossip/rate-limit-notices.ts'

/** The members of the swarm that are present now. */
export interface Membership {
  readonly self: Member
  /** All members except this node. */
  others(): readonly Member[]
  get(id: MemberId): Member | undefined
  /** Why a member is gone: it said goodbye, or was silent. Undefined for present members and after two minutes. */
  departure(id: MemberId): 'left' | 'silent' | undefined
  /** Calls `listener` when members have come, gone or changed. Returns a function that removes the listener. */
  onChange(listener: () => void): () => void
  readonly notices: NoticeChannel
}
