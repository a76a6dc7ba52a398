import { PIECE_BYTES } from './choose-parent.ts'
import { givableEnd, type Participant, type ProgressRecord } from './participant.ts'

/** Participants send something every second, so one that is silent for three is taken to be gone. */
const MAX_SILENCE_MS = 3000
/** A participant whose parent has bytes for it must take some within this time. */
const STALL_MS = 4000
/** A fetcher has more time than others: upstream may be slow to answer, and the flight has a deadline of its own for it. */
const FETCHER_STALL_MS = 8000
/** After so long without progress a participant asks upstream itself. */
const STUCK_MS = 10_000
/** A shorter interval would measure single pieces instead of a rate. */
const MEASURE_INTERVAL_MS = 500

export function isSilent({ progress }: Participant, nowMs: number): boolean {
  return nowMs - progress.heardAtMs > MAX_SILENCE_MS
}

/** Updates the measured rate. Called for every participant on each tick. */
export function measureRate({ progress, position, role }: Participant, nowMs: number): void {
  const ms = nowMs - progress.measuredAtMs
  if (ms < MEASURE_INTERVAL_MS || role === 'seeder') return
  const bytes = position - progress.measuredPosition
  const isFirst = progress.bytesPerSecond === 0
  if (bytes > 0 || !isFirst) {
    const rate = (bytes * 1000) / ms
    progress.bytesPerSecond = isFirst ? rate : (progress.bytesPerSecond + rate) / 2
  }
  if (isFirst && bytes > 0) {
    progress.firstMeasuredAtMs = nowMs
    progress.firstMeasuredPosition = position
  }
  progress.measuredAtMs = nowMs
  progress.measuredPosition = position
}

/** Measures a participant that has just become complete, which may have taken less time than one interval. */
export function measureFinalRate({ progress, position }: Participant, size: number, nowMs: number): void {
  const ms = nowMs - progress.measuredAtMs
  const isTooShort = progress.bytesPerSecond > 0 && ms < MEASURE_INTERVAL_MS / 2
  if (position === 0 || ms <= 0 || isTooShort) return
  const rate = ((size - progress.measuredPosition) * 1000) / ms
  progress.bytesPerSecond = Math.max(progress.bytesPerSecond, rate)
}

/**
 * The rate that a child of this participant can expect: at most the participant's average from its first bytes on. The
 * recent rate alone can be higher, because other contents that shared the participant's link are complete by now.
 */
export function sustainedBytesPerSecond(progress: ProgressRecord): number {
  const bytes = progress.measuredPosition - progress.firstMeasuredPosition
  if (bytes <= 0) return progress.bytesPerSecond
  const ms = progress.measuredAtMs - progress.firstMeasuredAtMs
  return Math.min(progress.bytesPerSecond, (bytes * 1000) / ms)
}

/** Notes since when the parent has bytes for this participant. Called when the parent changed, and on each tick. */
export function noteOffer({ parent, position, progress }: Participant, nowMs: number): void {
  if (parent === undefined) return
  if (givableEnd(parent) < position + PIECE_BYTES) progress.offeredSinceMs = undefined
  else progress.offeredSinceMs ??= nowMs
}

/** The parent, or upstream, has had time to deliver, and nothing came. */
export function isStalled({ role, parent, progress }: Participant, nowMs: number): boolean {
  const sinceMs = Math.max(progress.movedAtMs, progress.assignedAtMs)
  if (role === 'fetcher') return nowMs - sinceMs > FETCHER_STALL_MS
  if (parent === undefined || progress.offeredSinceMs === undefined) return false
  return nowMs - Math.max(sinceMs, progress.offeredSinceMs) > STALL_MS
}

/**
 * No participant can help this one: it has had no parent for too long, or got none of the bytes that its parents had, or
 * all of its ancestors have made no progress either.
 */
export function isStuck({ role, parent, progress }: Participant, nowMs: number): boolean {
  if (role !== undefined || nowMs - progress.movedAtMs <= STUCK_MS) return false
  if (progress.offeredSinceMs !== undefined) return nowMs - progress.offeredSinceMs > STUCK_MS
  if (parent === undefined) return nowMs - progress.assignedAtMs > STUCK_MS
  for (let at: Participant | undefined = parent; at !== undefined; at = at.parent) {
    if (nowMs - at.progress.movedAtMs <= STUCK_MS) return false
    // That ancestor is itself stuck, and its subtree makes progress again when it is helped.
    if (at.role === undefined && (at.parent === undefined || at.progress.offeredSinceMs !== undefined)) {
      return false
    }
  }
  return true
}
