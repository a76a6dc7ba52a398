import { PIECE } from '../tree/choose-parent.ts'
import { type Party, reachOf } from '../tree/participant.ts'
import { usualRate } from '../tree/progress-rates.ts'

/** One that is so much behind its parent, at less than so much of the parent's speed, creeps. */
const LAG_MS = 1500
const CREEP = 0.5
/** So little is behind whoever passes on in pieces. */
const FEW = 4 * PIECE
/** Who has no more than this left to get, or will have it so soon, stays where it is. */
const MUCH = 16 * PIECE
const SOON_MS = 1500
/** It was the fault of the one before when the one after it gets so much more. */
const BETTER = 1.5
/** So many are passed over, one after the other, until it is taken to be the parent's fault. */
const MOST_TRIES = 2
/** Those who take from one that has no parent have nobody else to turn to. */
const MOST_TRIES_AT_ROOT = 3

export interface Creeping {
  /** They hold up, or would, who is behind them: they take much more slowly than their parent does, or give so. */
  readonly slow: readonly Party[]
  /** They were taken for slow, and it was not their fault. */
  readonly cleared: readonly Party[]
}

/**
 * Whose fault it is when one gets on more slowly than the one before it, is found by trying: it is passed over, those
 * behind it take from its parent themselves, and when that is no better it is the parent's.
 */
export function creepingAmong(parties: Iterable<Party>, bytes: number | undefined, now: number): Creeping {
  const slow: Party[] = []
  const cleared: Party[] = []
  for (const parent of parties) {
    if (parent.children.size === 0 || bytes === undefined) continue
    const others = [...parent.children].filter(({ isSlow }) => !isSlow)
    const lagging = others.filter((child) => isLagging(child, parent, bytes, now))
    const areAll = lagging.length > 1 && lagging.length === others.length
    if ((areAll && parent.root === undefined) || haveShown(parent, lagging, now)) {
      cleared.push(...acquitted(parent))
      // A head is the only one there is.
      if (parent.root !== 'head' && !parent.isSlow) slow.push(parent)
      continue
    }
    for (const child of lagging) {
      slow.push(child)
      if (child.children.size > 0) parent.passedOver.push({ party: child, rate: child.pace.rate })
    }
  }
  return { slow, cleared }
}

/** Whether those who take from it now show that others were passed over for nothing. */
function haveShown(parent: Party, lagging: readonly Party[], now: number): boolean {
  const { passedOver, pace, root } = parent
  const others = settled(parent, now)
  if (passedOver.length === 0 || others.length === 0) return false
  const rate = fastest(others)
  const before = Math.max(...passedOver.map((one) => one.rate))
  if (rate >= BETTER * before) {
    if (pace.rate === 0) pace.gives = rate
    parent.passedOver = []
    return false
  }
  const tries = root === undefined ? MOST_TRIES : MOST_TRIES_AT_ROOT
  const isToBeTried = others.some((other) => !lagging.includes(other)) || passedOver.length < tries
  if (pace.rate > 0 && isToBeTried) return false
  pace.gives = Math.max(rate, before)
  return true
}

/** Those who are not slow after all. */
function acquitted(parent: Party): Party[] {
  const all = new Set([...parent.passedOver.map(({ party }) => party), ...parent.children])
  parent.passedOver = []
  return [...all].filter(({ isSlow }) => isSlow)
}

function isLagging(child: Party, parent: Party, bytes: number, now: number): boolean {
  const { position, pace } = child
  const missing = bytes - position
  if (now - pace.placedAt < LAG_MS || missing < MUCH || missing < (pace.rate * SOON_MS) / 1000) return false
  const expected = parent.pace.gives ?? (usualRate(parent.pace) || fastest(settled(parent, now)))
  const isSole = parent.children.size === 1 && child.children.size > 0
  // How fast one can give that had it all before has to be tried.
  if (parent.pace.gives === undefined && parent.pace.rate === 0 && isSole) return parent.root === 'holder'
  const lag = Math.max(FEW, (LAG_MS * expected) / 1000)
  return expected > 0 && pace.rate <= CREEP * expected && reachOf(parent) - position > lag
}

/** Those whose speed tells how fast it gives. */
function settled({ children }: Party, now: number): Party[] {
  return [...children].filter(({ isSlow, pace }) => !isSlow && now - pace.placedAt >= LAG_MS)
}

function fastest(parties: readonly Party[]): number {
  return Math.max(0, ...parties.map(({ pace }) => pace.rate))
}
