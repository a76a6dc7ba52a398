import type { MemberId } from '../../identity/member.ts'
import { type Party, reachOf } from './participant.ts'
import { isGrounded } from './tree.ts'

export const PIECE = 65_536
/** A child may be ahead of its parent by so much: the parent is soon there. */
export const SLACK = 16 * PIECE
const MOST_CHILDREN = 8
const FEW_CHILDREN = 4
const SHORTEST_CHAIN = 16
const LONGEST_CHAIN = 256
/** Of a chain's length, the upper part in which it may branch. */
const CROWN = 4

/**
 * How long a chain may get before another is begun beside it. A chain costs each member one copy in and one out, and each
 * step the time of one piece, or a few milliseconds if that is more; a branch costs the one who gives twice up to half of
 * its speed, and all behind it. Simulated (testkit/simulation), in times of the bound: 100 members and four layers
 * of 16 MiB 1.3 as chains of 32 as of 100; 1,000 members 1.5 as chains of 32, and 5 as one; one layer of 64 MiB among 300
 * 1.3 as one chain and 2.1 with any branch, among 1,000 2.1 with chains of 128 and 2.5 with 512. So a chain may cost an
 * eighth of the time that the content takes; a small content among many makes a tree with short chains as its leaves.
 */
export function longestChain(size: number | undefined): number {
  if (size === undefined) return SHORTEST_CHAIN
  return Math.min(LONGEST_CHAIN, Math.max(SHORTEST_CHAIN, Math.floor(size / PIECE / 8)))
}

/** Why one is better than another, the gravest reason first. */
type Reasons = readonly [
  isForeign: number,
  isBehind: number,
  crowd: number,
  depth: number,
  slow: number,
  load: number,
  draw: number,
]

export interface Ground {
  readonly parties: Iterable<Party>
  /** Whether `child` may be given to `parent` now, as far as their past goes. */
  readonly mayTake: (child: Party, parent: Party) => boolean
  readonly chain: number
  /** How much a member gives elsewhere, too. */
  readonly loadOf: (id: MemberId) => number
}

/**
 * The best parent, if there is any, for a party that waits (so nobody behind it is at a root): of its zone, at or ahead
 * of it, with nobody behind it yet. Chains grow at their ends; those that have become long branch, near the root, where
 * the lot says.
 */
export function chooseParent(child: Party, { parties, mayTake, chain, loadOf }: Ground): Party | undefined {
  let best: Party | undefined
  let reasons: Reasons | undefined
  for (const party of parties) {
    if (party === child || !isGrounded(party) || party.children.size >= MOST_CHILDREN) continue
    if (!mayTake(child, party)) continue
    const those = reasonsFor(child, party, chain, loadOf(party.id))
    if (reasons !== undefined && !areLess(those, reasons)) continue
    best = party
    reasons = those
  }
  return best
}

/**
 * Who take from `parent` over the border of its zone and can as well take from `child`, who is of that zone and has just
 * got that parent: so a zone is left at its end only, and once.
 */
export function displacedBy(child: Party, parent: Party, { mayTake }: Ground): Party[] {
  if (child.zone !== parent.zone || child.children.size > 0 || child.isSlow) return []
  return [...parent.children].filter((other) => isDisplaceable(other, child, parent) && mayTake(other, child))
}

function isDisplaceable(other: Party, child: Party, parent: Party): boolean {
  return other !== child && other.zone !== parent.zone && other.position <= child.position + SLACK
}

function reasonsFor(child: Party, party: Party, chain: number, elsewhere: number): Reasons {
  const isForeign = party.zone === child.zone && !party.isSlow ? 0 : 1
  const isLate = reachOf(party) + SLACK < child.position ? 1 : 0
  const canDisplace = isForeign === 0 && child.children.size === 0 && !child.isSlow
  let load = 0
  let slow = 0
  for (const other of party.children) {
    if (other === child) continue
    if (other.isSlow) slow += 1
    else if (!canDisplace || !isDisplaceable(other, child, party)) load += 1
  }
  const crowd = crowdOf(party, load, chain)
  // Where a chain branches the lot decides, so that it is not the same member for all digests.
  const depth = crowd === 1 ? Math.max(0, party.depth - chain / CROWN) : party.depth
  return [isForeign, isLate, crowd, depth, slow, elsewhere, party.draw]
}

/** 0: the end of a chain; 1: may branch; 2: the end of a chain that is long already; then those that are busy or slow. */
function crowdOf(party: Party, load: number, chain: number): number {
  if (party.isSlow) return 5
  if (load === 0) return party.depth < chain ? 0 : 2
  if (load === 1 && party.depth < chain) return 1
  return load < FEW_CHILDREN ? 3 : 4
}

function areLess(these: Reasons, those: Reasons): boolean {
  for (let at = 0; at < these.length; at += 1) {
    const difference = (these[at] as number) - (those[at] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}
