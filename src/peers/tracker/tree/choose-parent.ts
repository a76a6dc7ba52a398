import { givableEnd, type Participant } from './participant.ts'
import { isUnderRoot } from './tree.ts'

/** Participants pass a content on in pieces of this size. */
export const PIECE_BYTES = 65_536
/** A parent may be behind its child by this much: positions are known with a delay, and the parent is soon ahead. */
export const SLACK_BYTES = 16 * PIECE_BYTES
const MAX_CHILDREN = 8
/** From this many children on, a parent is chosen only when no better one is left. */
const MANY_CHILDREN = 4
const MIN_CHAIN_LENGTH = 16
const MAX_CHAIN_LENGTH = 256
/** A chain may branch in its upper quarter without a penalty for depth. */
const BRANCHING_PARTS = 4

/**
 * How long a chain may get before a second one is begun beside it. A chain costs each participant one copy in and one
 * copy out, and each step the time of one piece, or a few milliseconds if that is more. A branch halves, at worst, the
 * rate of the parent that gives twice, and of all participants below it. Measured in simulations (testkit/simulation), as
 * a multiple of the lower bound: 100 members and four layers of 16 MiB take 1.3 with chains of 32 or of 100; 1,000
 * members 1.5 with chains of 32 and 5 with one chain; one layer of 64 MiB among 300 members 1.3 as one chain and 2.1 with
 * any branch, among 1,000 members 2.1 with chains of 128 and 2.5 with 512. Hence a chain may cost an eighth of the time
 * that the content takes, and a small content among many members becomes a tree with short chains as its leaves.
 */
export function maxChainLength(size: number | undefined): number {
  if (size === undefined) return MIN_CHAIN_LENGTH
  return Math.min(MAX_CHAIN_LENGTH, Math.max(MIN_CHAIN_LENGTH, Math.floor(size / PIECE_BYTES / 8)))
}

/** Parents are compared by these figures in this order; the lower one wins. */
type ParentCost = readonly [
  foreignZone: number,
  farBehind: number,
  occupancy: number,
  slowRate: number,
  depth: number,
  slowChildren: number,
  tieBreaker: number,
]

export interface ParentSearch {
  readonly participants: Iterable<Participant>
  /** False while `child` avoids `parent`, or the parent is silent. */
  readonly mayTake: (child: Participant, parent: Participant) => boolean
  readonly maxChainLength: number
}

/**
 * The best parent for a participant that waits, if there is any. Because the child waits, no participant in its subtree is
 * under a root, so the choice cannot make a circle. The best parent is in the child's zone, not behind the child, and has
 * no children yet: chains grow at their ends, and a chain that has become long branches in its upper part.
 */
export function chooseParent(
  child: Participant,
  { participants, mayTake, maxChainLength }: ParentSearch,
): Participant | undefined {
  let best: Participant | undefined
  let bestCost: ParentCost | undefined
  for (const parent of participants) {
    if (parent === child || !isUnderRoot(parent) || parent.children.size >= MAX_CHILDREN) continue
    if (!mayTake(child, parent)) continue
    const cost = costOf(child, parent, maxChainLength)
    if (bestCost !== undefined && !isLess(cost, bestCost)) continue
    best = parent
    bestCost = cost
  }
  return best
}

/**
 * The children of `parent` that are in other zones and can as well take from `child`, which is in the parent's zone and
 * has just become its child. Moving them to the end of the chain lets the content leave a zone once, from its end.
 */
export function childrenToMove(
  child: Participant,
  parent: Participant,
  { mayTake }: Pick<ParentSearch, 'mayTake'>,
): Participant[] {
  if (child.zone !== parent.zone || child.children.size > 0 || child.isSlow) return []
  return [...parent.children].filter((other) => isMovable(other, child, parent) && mayTake(other, child))
}

function isMovable(other: Participant, child: Participant, parent: Participant): boolean {
  return other !== child && other.zone !== parent.zone && other.position <= child.position + SLACK_BYTES
}

function costOf(child: Participant, parent: Participant, chainLength: number): ParentCost {
  const foreignZone = parent.zone === child.zone && !parent.isSlow ? 0 : 1
  const farBehind = givableEnd(parent) + SLACK_BYTES < child.position ? 1 : 0
  const canMoveChildren = foreignZone === 0 && child.children.size === 0 && !child.isSlow
  let children = 0
  let slowChildren = 0
  for (const other of parent.children) {
    if (other === child) continue
    if (other.isSlow) slowChildren += 1
    else if (!canMoveChildren || !isMovable(other, child, parent)) children += 1
  }
  const occupancy = occupancyOf(parent, children, chainLength)
  // All branching points in the upper part of a chain cost the same, so that the tie breaker spreads them over the members.
  const isBranch = occupancy === BRANCH
  const depth = isBranch ? Math.max(0, parent.depth - chainLength / BRANCHING_PARTS) : parent.depth
  const slowRate = parent.isSlow ? -(parent.progress.givesBytesPerSecond ?? 0) : 0
  return [foreignZone, farBehind, occupancy, slowRate, depth, slowChildren, parent.tieBreaker]
}

const CHAIN_END = 0
const BRANCH = 1
const LONG_CHAIN_END = 2
const BUSY = 3
const VERY_BUSY = 4
const SLOW = 5

/** `children`: how many the parent has that are not slow and stay with it. */
function occupancyOf(parent: Participant, children: number, chainLength: number): number {
  if (parent.isSlow) return SLOW
  if (children === 0) return parent.depth < chainLength ? CHAIN_END : LONG_CHAIN_END
  if (children === 1 && parent.depth < chainLength) return BRANCH
  return children < MANY_CHILDREN ? BUSY : VERY_BUSY
}

function isLess(one: ParentCost, other: ParentCost): boolean {
  for (let at = 0; at < one.length; at += 1) {
    const difference = (one[at] as number) - (other[at] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}
