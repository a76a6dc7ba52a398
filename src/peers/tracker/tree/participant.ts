import type { MemberId } from '../../identity/member.ts'
import type { Suspicions } from './reputation.ts'

/**
 * Why a party needs no parent: the `head` brings the content from upstream for all, one who is `alone` does so because
 * nobody here could help it, a `holder` has it all.
 */
export type Root = 'head' | 'alone' | 'holder'

/** A member in a gathering, as far as its owner knows. */
export interface Party {
  readonly id: MemberId
  /** Another one in each gathering: so what nothing else decides does not fall on the same members for each digest. */
  readonly draw: number
  zone: string | undefined
  /** It has all bytes before this and is sure of them. */
  position: number
  root: Root | undefined
  /** From whom it takes; without one, and not a root, it waits. */
  parent: Party | undefined
  readonly children: Set<Party>
  /** Steps from a root; Infinity when no root is at the upper end. */
  depth: number
  /** Takes, or gives, so much more slowly than others that nobody should wait behind it. */
  isSlow: boolean
  /** Upstream failed it. */
  hasFailed: boolean
  readonly suspicions: Suspicions
  /** Those who took from it, and were passed over as slow: until another has shown whether it was their fault. */
  passedOver: { readonly party: Party; readonly rate: number }[]
  readonly pace: Pace
  /** By its own word, and as long as that has not proved wrong. */
  readonly word: Word
}

/** How fast a member receives, all that it gets together, in bytes per second. */
export interface Word {
  /** At best, before it came here. */
  best: number | undefined
  now: number | undefined
}

/** When a party did what, in milliseconds, and how fast it gets on. */
export interface Pace {
  heardAt: number
  /** When it last got on. */
  movedAt: number
  /** When it was given its parent, or was told to be a root, or ceased to be either. */
  placedAt: number
  /** Since when there has been something to be had that it has not got; undefined when there is nothing. */
  offeredAt: number | undefined
  /** Bytes per second of late; of a holder: when it last took. 0 when nothing is known. */
  rate: number
  /** What it gives at most, as tries have shown; undefined: as much as it takes, as far as anybody knows. */
  gives: number | undefined
  measuredAt: number
  measuredFrom: number
  /** When it was first measured to get anything, and where it was then. */
  begunAt: number
  begunFrom: number
  /** How often it stood still, since it last got on. */
  stalls: number
}

export function newPace(now: number, position: number): Pace {
  return {
    heardAt: now,
    movedAt: now,
    placedAt: now,
    offeredAt: undefined,
    rate: 0,
    gives: undefined,
    measuredAt: now,
    measuredFrom: position,
    begunAt: now,
    begunFrom: position,
    stalls: 0,
  }
}

/** How much it can give. */
export function reachOf({ root, position }: Party): number {
  return root === 'holder' ? Number.POSITIVE_INFINITY : position
}

/** It wants what it has not got yet. */
export function isWanting({ root }: Party): boolean {
  return root !== 'holder'
}
