import type { MemberId } from '../identity/member.ts'
import type { Contact, Instruction, Progress } from '../wire/protocol/messages.ts'

/** A member, the owner itself included, in one delivery plan: the member's side of the session. */
export interface TrackerSession {
  report(progress: Progress): void
  /** Ends the session. A participant that has the whole content stays in the plan as a seeder. */
  leave(): void
}

/** What the tracker calls in a session. */
export interface SessionListener {
  onInstruction(instruction: Instruction): void
  /** The tracker has ended the session. */
  onEnded(): void
}

/** What a member tells the tracker of itself when it joins a delivery plan. */
export interface JoinRequest {
  readonly contact: Contact
  readonly zone: string | undefined
  readonly position: number
  readonly whole?: boolean | undefined
  /** What the member does already, not by instruction of this plan. */
  readonly from?: MemberId | 'upstream' | undefined
  /** Upstream failed the member while it took part in another owner's plan. */
  readonly hasFailed?: boolean | undefined
  /** The best rate at which the member has received anything lately, in bytes per second. */
  readonly best?: number | undefined
}
