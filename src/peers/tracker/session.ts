import type { MemberId } from '../identity/member.ts'
import type { Contact, Guidance, News } from '../wire/messages.ts'

/** A place at an owner's table: whoever has one is told whom to take a digest from, and tells how it gets on. */
export interface Place {
  tell(news: News): void
  leave(): void
}

/** Who sits there. */
export interface Guest {
  guided(guidance: Guidance): void
  /** The table is gone. */
  abandoned(): void
}

/** Who one is, where one is, and what one is at already by order of another owner. */
export interface Coming {
  readonly contact: Contact
  readonly zone: string | undefined
  readonly position: number
  readonly from: MemberId | 'upstream' | undefined
  /** Upstream has failed one already. */
  readonly hasFailed?: boolean | undefined
  /** The fastest that one has received anything of late, in bytes per second. */
  readonly best?: number | undefined
}
