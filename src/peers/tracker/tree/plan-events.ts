import type { MemberId } from '../../identity/member.ts'

/** What the owner of a digest hears. What comes from somebody who is not in the gathering, but `joined`, says nothing. */
export type Event =
  /** The size has become known. */
  | { readonly is: 'sized'; readonly size: number }
  /**
   * It wants the content or, when `whole`, offers it. `from`: what it is at already, by order of another owner; it goes on
   * unless it is told otherwise. Who comes again has lost its line in between.
   */
  | {
      readonly is: 'joined'
      readonly id: MemberId
      readonly zone: string | undefined
      /** It is sure of all bytes before this, and can give them. */
      readonly position: number
      readonly whole: boolean
      readonly from?: MemberId | 'upstream' | undefined
      /** Upstream has failed it, at another's table. */
      readonly hasFailed?: boolean | undefined
      /** By its own word: the fastest that it has received anything of late, in bytes per second. */
      readonly best?: number | undefined
    }
  /** It has got on; also at least once a second when it has not. `receives`: bytes per second now, whatever else it gets with it. */
  | {
      readonly is: 'at'
      readonly id: MemberId
      readonly position: number
      readonly receives?: number | undefined
    }
  /** The parent cannot be reached, broke off, is silent or has not got it. */
  | { readonly is: 'lost'; readonly id: MemberId; readonly parent: MemberId }
  /** The parent sent wrong bytes. */
  | { readonly is: 'blamed'; readonly id: MemberId; readonly parent: MemberId }
  /** Upstream failed it. */
  | { readonly is: 'failed'; readonly id: MemberId }
  | { readonly is: 'whole'; readonly id: MemberId }
  | { readonly is: 'left'; readonly id: MemberId }

/**
 * What a member is to do, instead of what it did before: bring the content from upstream for all (`fetch`), or for itself
 * as nobody here can help it (`alone`), take it from another, each from where it is; do nothing until there is somebody
 * (`wait`); or give up, since those who tried upstream were failed by it (`end`): it has left with that.
 */
export type Order =
  | { readonly to: MemberId; readonly do: 'fetch' }
  | { readonly to: MemberId; readonly do: 'take'; readonly from: MemberId }
  | { readonly to: MemberId; readonly do: 'alone' }
  | { readonly to: MemberId; readonly do: 'wait' }
  | { readonly to: MemberId; readonly do: 'end' }
