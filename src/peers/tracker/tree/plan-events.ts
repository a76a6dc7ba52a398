import type { MemberId } from '../../identity/member.ts'

/**
 * An event of a delivery plan. The plan ignores all events but `joined` from a member that does not take part. The
 * events `at`, `lost`, `blamed`, `failed` and `whole` have the properties of the messages that participants send.
 */
export type PlanEvent =
  /** The size of the content has become known. */
  | { readonly is: 'sized'; readonly size: number }
  /** A member wants the content or, when `whole`, offers it. A participant that joins again had lost its connection. */
  | {
      readonly is: 'joined'
      readonly id: MemberId
      readonly zone: string | undefined
      /** The member has all bytes before this offset, has checked them, and can give them. */
      readonly position: number
      readonly whole: boolean
      /** What the member does by instruction of another owner, and goes on to do until it is instructed otherwise. */
      readonly from?: MemberId | 'upstream' | undefined
      /** Upstream failed the member while it took part in another owner's plan. */
      readonly hasFailed?: boolean | undefined
      /** The best rate at which the member says it has received lately, in bytes per second. */
      readonly best?: number | undefined
    }
  /** How far a participant is. It says so at least once a second, and more often while its position goes up. */
  | {
      readonly is: 'at'
      readonly id: MemberId
      readonly position: number
      /** Bytes per second that the participant receives now, over all its transfers together. */
      readonly receives?: number | undefined
    }
  /** The parent cannot be reached, broke off, is silent or does not have the content. */
  | { readonly is: 'lost'; readonly id: MemberId; readonly parent: MemberId }
  /** The parent sent wrong bytes. */
  | { readonly is: 'blamed'; readonly id: MemberId; readonly parent: MemberId }
  /** Upstream did not give the content to this participant. */
  | { readonly is: 'failed'; readonly id: MemberId }
  | { readonly is: 'whole'; readonly id: MemberId }
  | { readonly is: 'left'; readonly id: MemberId }

/** An instruction to a participant, which replaces the one before. The participant continues at its own position. */
export type PlanInstruction =
  /** The participant asks upstream, for all. */
  | { readonly to: MemberId; readonly do: 'fetch' }
  /** The participant takes the content from this parent. */
  | { readonly to: MemberId; readonly do: 'take'; readonly from: MemberId }
  /** The participant asks upstream for itself, because no other one can help it. */
  | { readonly to: MemberId; readonly do: 'alone' }
  /** The participant waits for the next instruction, because no other one is ahead of it. */
  | { readonly to: MemberId; readonly do: 'wait' }
  /** The participant gives up, because upstream failed those that asked it. It is no longer in the plan. */
  | { readonly to: MemberId; readonly do: 'end' }
