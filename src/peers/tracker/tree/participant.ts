import type { MemberId } from '../../identity/member.ts'
import type { Reputation } from './reputation.ts'

/**
 * Why a participant needs no parent: a `fetcher` asks upstream for all, a `direct` participant asks upstream for itself,
 * because no other participant could help it, and a `seeder` has the whole content.
 */
export type RootRole = 'fetcher' | 'direct' | 'seeder'

/** What the owner of a digest knows of one member in a delivery plan. */
export interface Participant {
  readonly id: MemberId
  /** Decides between equals. It differs from plan to plan, so that the same members do not come first for each digest. */
  readonly tieBreaker: number
  zone: string | undefined
  /** The participant has all bytes before this offset, and has checked them. */
  position: number
  /** Undefined while the participant has a parent or waits for one. */
  role: RootRole | undefined
  /** A participant without a parent and without a role waits. */
  parent: Participant | undefined
  readonly children: Set<Participant>
  /** Steps from a participant that has a role; Infinity when no such participant is above. */
  depth: number
  /** The participant takes, or gives, so slowly that no other one should wait behind it. */
  isSlow: boolean
  /** Upstream did not give the content to this participant. */
  hasUpstreamFailed: boolean
  readonly reputation: Reputation
  /** Former children that were passed over as slow, until a next child has shown whether the parent is to blame. */
  passedOver: { readonly participant: Participant; readonly bytesPerSecond: number }[]
  readonly progress: ProgressRecord
  readonly receiveRates: ReceiveRates
}

/**
 * How fast a member receives, over all its transfers together. The member says so itself; handovers of the fetcher's
 * role test whether that is true.
 */
export interface ReceiveRates {
  /** The best rate that the member had seen before it joined. */
  bestBytesPerSecond: number | undefined
  currentBytesPerSecond: number | undefined
}

/** When a participant did what, and at which rate it makes progress with this content. */
export interface ProgressRecord {
  heardAtMs: number
  /** When the position last went up. */
  movedAtMs: number
  /** When the participant last got a parent or a role, or lost it. */
  assignedAtMs: number
  /** Since when the parent has had bytes that this participant lacks; undefined while the parent has none. */
  offeredSinceMs: number | undefined
  /** A recent rate; of a seeder, the rate at which it last took. 0 when nothing was measured yet. */
  bytesPerSecond: number
  /** The most that this participant has given to a child in a trial; undefined while no trial has shown a limit. */
  givesBytesPerSecond: number | undefined
  measuredAtMs: number
  measuredPosition: number
  /** When the first bytes were measured, and the position then. */
  firstMeasuredAtMs: number
  firstMeasuredPosition: number
  /** How often the participant stalled since its position last went up. */
  stalls: number
}

export function newProgress(nowMs: number, position: number): ProgressRecord {
  return {
    heardAtMs: nowMs,
    movedAtMs: nowMs,
    assignedAtMs: nowMs,
    offeredSinceMs: undefined,
    bytesPerSecond: 0,
    givesBytesPerSecond: undefined,
    measuredAtMs: nowMs,
    measuredPosition: position,
    firstMeasuredAtMs: nowMs,
    firstMeasuredPosition: position,
    stalls: 0,
  }
}

/** Up to which offset a participant can give; a seeder's size may not be known, hence Infinity. */
export function givableEnd({ role, position }: Participant): number {
  return role === 'seeder' ? Number.POSITIVE_INFINITY : position
}

export function isIncomplete({ role }: Participant): boolean {
  return role !== 'seeder'
}
