import { PIECE_BYTES } from '../tree/choose-parent.ts'
import { givableEnd, type Participant } from '../tree/participant.ts'
import { sustainedBytesPerSecond } from '../tree/progress-rates.ts'

/** A child lags when it is this far behind its parent, while it takes at most half of what the parent could give. */
const LAG_MS = 1500
const LAG_RATE = 0.5
/** A child is always some pieces behind its parent, because bytes are passed on in whole pieces. */
const MIN_LAG_BYTES = 4 * PIECE_BYTES
/** A child that lacks no more than this, or will be complete this soon, keeps its parent: a change would not pay. */
const MIN_MISSING_BYTES = 16 * PIECE_BYTES
const NEARLY_COMPLETE_MS = 1500
/** The next child must be this much faster for the one that was passed over to be the slow one. */
const CLEARLY_FASTER = 1.5
/** After this many children were passed over in vain, the parent is taken to be the slow one. */
const MAX_PASSED_OVER = 2
/** Children of a fetcher or seeder may have nobody else to take from, so one more is tried. */
const MAX_PASSED_OVER_BY_ROOT = 3

export interface SlowChildren {
  /** Participants that hold up their children, or would do so: they take, or give, more slowly than others. */
  readonly slow: readonly Participant[]
  /** Participants that were taken for slow, until a trial showed that their parent was. */
  readonly cleared: readonly Participant[]
}

/**
 * Either end can be at fault when a child lags behind its parent, and a trial finds out which: the child is passed over,
 * so that its children take from its parent themselves. When that is no faster, the parent is the slow one.
 */
export function findSlowChildren(
  participants: Iterable<Participant>,
  size: number | undefined,
  nowMs: number,
): SlowChildren {
  const slow: Participant[] = []
  const cleared: Participant[] = []
  for (const parent of participants) {
    if (parent.children.size === 0 || size === undefined) continue
    const judged = [...parent.children].filter(({ isSlow }) => !isSlow)
    const lagging = judged.filter((child) => isLagging(child, parent, size, nowMs))
    const doAllLag = lagging.length > 1 && lagging.length === judged.length
    if ((doAllLag && parent.role === undefined) || isParentSlow(parent, lagging, nowMs)) {
      cleared.push(...clearChildren(parent))
      // A fetcher keeps its children: there is no other participant that has the bytes.
      if (parent.role !== 'fetcher' && !parent.isSlow) slow.push(parent)
      continue
    }
    for (const child of lagging) {
      slow.push(child)
      if (child.children.size > 0) {
        parent.passedOver.push({ participant: child, bytesPerSecond: child.progress.bytesPerSecond })
      }
    }
  }
  return { slow, cleared }
}

/** Whether the present children show that earlier ones were passed over in vain. */
function isParentSlow(parent: Participant, lagging: readonly Participant[], nowMs: number): boolean {
  const { passedOver, progress, role } = parent
  const settled = settledChildren(parent, nowMs)
  if (passedOver.length === 0 || settled.length === 0) return false
  const rate = fastestRate(settled)
  const rateBefore = Math.max(...passedOver.map(({ bytesPerSecond }) => bytesPerSecond))
  if (rate >= CLEARLY_FASTER * rateBefore) {
    if (progress.bytesPerSecond === 0) progress.givesBytesPerSecond = rate
    parent.passedOver = []
    return false
  }
  const maxPassedOver = role === undefined ? MAX_PASSED_OVER : MAX_PASSED_OVER_BY_ROOT
  const mayTryMore = settled.some((child) => !lagging.includes(child)) || passedOver.length < maxPassedOver
  if (progress.bytesPerSecond > 0 && mayTryMore) return false
  progress.givesBytesPerSecond = Math.max(rate, rateBefore)
  return true
}

/** Forgets who was passed over. Returns the children, present and former ones, that were taken for slow. */
function clearChildren(parent: Participant): Participant[] {
  const all = new Set([...parent.passedOver.map(({ participant }) => participant), ...parent.children])
  parent.passedOver = []
  return [...all].filter(({ isSlow }) => isSlow)
}

function isLagging(child: Participant, parent: Participant, size: number, nowMs: number): boolean {
  const { position, progress } = child
  const missing = size - position
  if (nowMs - progress.assignedAtMs < LAG_MS || missing < MIN_MISSING_BYTES) return false
  if (missing < (progress.bytesPerSecond * NEARLY_COMPLETE_MS) / 1000) return false
  const { givesBytesPerSecond } = parent.progress
  const expected =
    givesBytesPerSecond ??
    (sustainedBytesPerSecond(parent.progress) || fastestRate(settledChildren(parent, nowMs)))
  const isOnlyChild = parent.children.size === 1 && child.children.size > 0
  // Nothing shows how fast a seeder can give that was complete when it joined, so its only child is passed over as a trial.
  if (givesBytesPerSecond === undefined && parent.progress.bytesPerSecond === 0 && isOnlyChild) {
    return parent.role === 'seeder'
  }
  const minLag = Math.max(MIN_LAG_BYTES, (LAG_MS * expected) / 1000)
  const isFarBehind = givableEnd(parent) - position > minLag
  return expected > 0 && progress.bytesPerSecond <= LAG_RATE * expected && isFarBehind
}

/** The children whose rates show how fast the parent gives. */
function settledChildren({ children }: Participant, nowMs: number): Participant[] {
  return [...children].filter(({ isSlow, progress }) => !isSlow && nowMs - progress.assignedAtMs >= LAG_MS)
}

function fastestRate(participants: readonly Participant[]): number {
  return Math.max(0, ...participants.map(({ progress }) => progress.bytesPerSecond))
}
