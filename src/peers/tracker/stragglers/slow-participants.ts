import { givableEnd, isIncomplete, type Participant } from '../tree/participant.ts'
import type { Participants } from '../tree/participants.ts'
import { sustainedBytesPerSecond } from '../tree/progress-rates.ts'
import {
  CLEARLY_SLOWER,
  FASTER,
  MIN_LAG_BYTES,
  MIN_MISSING_BYTES,
  NEARLY_COMPLETE_MS,
  SETTLE_MS,
  SLOW_BYTES_PER_SECOND,
  UNDERSUPPLIED_BYTES,
  UNDERSUPPLIED_MS,
} from './limits.ts'

/** After this many children were passed over in vain, the parent is taken to be the slow one. */
const MAX_PASSED_OVER = 2
/** Children of a fetcher or seeder may have no other participant to take from, so one more is tried. */
const MAX_PASSED_OVER_BY_ROOT = 3

interface SlowParticipants {
  /** Participants that hold up their children, or would do so: they take, or give, more slowly than others. */
  readonly slow: readonly Participant[]
  /** Participants that were taken for slow, until a trial showed that their parent was. */
  readonly cleared: readonly Participant[]
}

/**
 * Marks participants that slow others down, and takes their children from them. Returns the participants that wait for
 * another parent because of that; those in `last` get a parent after all others.
 */
export function stopStragglers(
  participants: Participants,
  nowMs: number,
): { readonly waiting: readonly Participant[]; readonly last: readonly Participant[] } {
  const { size } = participants
  if (size === undefined) return { waiting: [], last: [] }
  const waiting: Participant[] = []
  const slowParents: Participant[] = []
  const { slow, cleared } = findSlow(participants, size, nowMs)
  for (const participant of slow) {
    participant.isSlow = true
    if (participant.role === undefined && participant.children.size > 0) slowParents.push(participant)
    waiting.push(...participants.stopAll(participant.children))
  }
  for (const participant of cleared) participant.isSlow = false
  const clearedLeaves = cleared.filter(({ role, children }) => role === undefined && children.size === 0)
  waiting.push(...participants.stopAll(clearedLeaves))
  waiting.push(...participants.stopAll(findUndersuppliedBesideIdleSeeders(participants, size, nowMs)))
  return { waiting, last: slowParents }
}

/**
 * Either end can be at fault when a child lags behind its parent, and a trial finds out which: the child is passed over,
 * so that its children take from its parent themselves. When that is no faster, the parent is the slow one. A seeder that
 * was complete when it joined has no rate of its own to compare with; it is slow when all of its children get next to
 * nothing, and they then try other parents.
 */
function findSlow(participants: Participants, size: number, nowMs: number): SlowParticipants {
  const slow: Participant[] = []
  const cleared: Participant[] = []
  for (const parent of participants) {
    if (parent.children.size === 0) continue
    const judged = [...parent.children].filter(({ isSlow }) => !isSlow)
    const lagging = judged.filter((child) => isLagging(child, parent, size, nowMs))
    const doAllLag = lagging.length > 1 && lagging.length === judged.length
    if ((doAllLag && parent.role === undefined) || isParentSlow(parent, lagging, nowMs)) {
      cleared.push(...clearChildren(parent))
      // A fetcher keeps its children, because no other participant has the bytes.
      if (parent.role !== 'fetcher' && !parent.isSlow) slow.push(parent)
      continue
    }
    if (isSeederSlow(parent, size, nowMs)) {
      parent.progress.givesBytesPerSecond = fastestRate([...parent.children])
      slow.push(parent)
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

/**
 * Participants that have all bytes of their parent while a seeder in their zone has no children: the topmost of each
 * subtree, and no more of them than there are idle seeders in the zone.
 */
function findUndersuppliedBesideIdleSeeders(
  participants: Participants,
  size: number,
  nowMs: number,
): Participant[] {
  const idleByZone = new Map<string | undefined, number>()
  const undersupplied: Participant[] = []
  for (const participant of participants) {
    const { role, children, isSlow, reputation, zone } = participant
    if (role === 'seeder' && children.size === 0 && !isSlow && !reputation.isBanned) {
      idleByZone.set(zone, (idleByZone.get(zone) ?? 0) + 1)
    } else if (isUndersupplied(participant, size, nowMs)) undersupplied.push(participant)
  }
  if (idleByZone.size === 0) return []
  return undersupplied
    .sort((one, other) => one.depth - other.depth)
    .filter(({ parent, zone }) => {
      const idle = idleByZone.get(zone) ?? 0
      if (idle === 0 || (parent !== undefined && undersupplied.includes(parent))) return false
      idleByZone.set(zone, idle - 1)
      return true
    })
}

/** Whether the present children show that earlier ones were passed over in vain. */
function isParentSlow(parent: Participant, lagging: readonly Participant[], nowMs: number): boolean {
  const { passedOver, progress, role } = parent
  const settled = settledChildren(parent, nowMs)
  if (passedOver.length === 0 || settled.length === 0) return false
  const rate = fastestRate(settled)
  const rateBefore = Math.max(...passedOver.map(({ bytesPerSecond }) => bytesPerSecond))
  if (rate >= FASTER * rateBefore) {
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

/** Forgets which children were passed over. Returns the children, present and former ones, that were taken for slow. */
function clearChildren(parent: Participant): Participant[] {
  const all = new Set([...parent.passedOver.map(({ participant }) => participant), ...parent.children])
  parent.passedOver = []
  return [...all].filter(({ isSlow }) => isSlow)
}

function isSeederSlow(seeder: Participant, size: number, nowMs: number): boolean {
  if (seeder.role !== 'seeder' || seeder.isSlow) return false
  const children = [...seeder.children]
  const areAllSlow = children.every(
    ({ progress }) =>
      nowMs - progress.assignedAtMs >= SETTLE_MS && progress.bytesPerSecond <= SLOW_BYTES_PER_SECOND,
  )
  return areAllSlow && children.some((child) => !isNearlyComplete(child, size))
}

function isLagging(child: Participant, parent: Participant, size: number, nowMs: number): boolean {
  const { position, progress } = child
  if (nowMs - progress.assignedAtMs < SETTLE_MS || isNearlyComplete(child, size)) return false
  const { givesBytesPerSecond } = parent.progress
  const expected =
    givesBytesPerSecond ??
    (sustainedBytesPerSecond(parent.progress) || fastestRate(settledChildren(parent, nowMs)))
  const isOnlyChild = parent.children.size === 1 && child.children.size > 0
  // Nothing shows how fast a seeder can give that was complete when it joined, so its only child is passed over as a trial.
  if (givesBytesPerSecond === undefined && parent.progress.bytesPerSecond === 0 && isOnlyChild) {
    return parent.role === 'seeder'
  }
  const minLag = Math.max(MIN_LAG_BYTES, (SETTLE_MS * expected) / 1000)
  const isFarBehind = givableEnd(parent) - position > minLag
  return expected > 0 && progress.bytesPerSecond <= CLEARLY_SLOWER * expected && isFarBehind
}

function isUndersupplied({ parent, position, progress }: Participant, size: number, nowMs: number): boolean {
  if (parent === undefined || !isIncomplete(parent)) return false
  if (nowMs - progress.assignedAtMs < UNDERSUPPLIED_MS) return false
  const missing = size - position
  if (missing < MIN_MISSING_BYTES || givableEnd(parent) - position > UNDERSUPPLIED_BYTES) return false
  const { bytesPerSecond } = parent.progress
  return bytesPerSecond === 0 || missing > (bytesPerSecond * NEARLY_COMPLETE_MS) / 1000
}

function isNearlyComplete({ position, progress }: Participant, size: number): boolean {
  const missing = size - position
  return missing < MIN_MISSING_BYTES || missing < (progress.bytesPerSecond * NEARLY_COMPLETE_MS) / 1000
}

/** The children whose rates show how fast the parent gives. */
function settledChildren({ children }: Participant, nowMs: number): Participant[] {
  return [...children].filter(({ isSlow, progress }) => !isSlow && nowMs - progress.assignedAtMs >= SETTLE_MS)
}

function fastestRate(participants: readonly Participant[]): number {
  return Math.max(0, ...participants.map(({ progress }) => progress.bytesPerSecond))
}
