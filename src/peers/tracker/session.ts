import type { MemberId } from '../identity/member.ts'
import type { Contact, Guidance, News } from '../wire/messages.ts'

/** The connection of a participant to the tracker of one digest, as the participant uses it. */
export interface TrackerSession {
  report(progress: News): void
  leave(): void
}

/** What the tracker calls, at the participant's end of a session. */
export interface SessionListener {
  onInstruction(instruction: Guidance): void
  /** The tracker has ended the session. */
  onEnded(): void
}

/** What a member tells the tracker of itself when it joins a delivery plan. */
export interface JoinRequest {
  readonly contact: Contact
  readonly zone: string | undefined
  readonly position: number
  /** What the member does already, by instruction of another owner. */
  readonly from: MemberId | 'upstream' | undefined
  /** Upstream failed the member while it took part in another owner's plan. */
  readonly hasFailed?: boolean | undefined
  /** The best rate at which the member has received anything lately, in bytes per second. */
  readonly best?: number | undefined
}
