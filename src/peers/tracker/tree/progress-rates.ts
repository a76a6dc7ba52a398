import type { MemberId } from '../../identity/member.ts'
import { PIECE } from './choose-parent.ts'
import { type Pace, type Party, reachOf } from './participant.ts'

/** Who says nothing for so long is not there. */
const SILENT_MS = 3000
const STALL_MS = 4000
/** A head may have to wait for its upstream; it has a deadline of its own for that. */
const HEAD_STALL_MS = 8000
const STUCK_MS = 10_000
const MEASURE_MS = 500

export function isSilent({ id, pace }: Party, now: number, self: MemberId): boolean {
  return id !== self && now - pace.heardAt > SILENT_MS
}

/** To be called now and then: takes the speed of those who have begun to get something. */
export function measure({ pace, position, root }: Party, now: number): void {
  const ms = now - pace.measuredAt
  if (ms < MEASURE_MS || root === 'holder') return
  const bytes = position - pace.measuredFrom
  const isFirst = pace.rate === 0
  if (bytes > 0 || !isFirst) {
    const rate = (bytes * 1000) / ms
    pace.rate = isFirst ? rate : (pace.rate + rate) / 2
  }
  if (isFirst && bytes > 0) {
    pace.begunAt = now
    pace.begunFrom = position
  }
  pace.measuredAt = now
  pace.measuredFrom = position
}

/** To be called when it has all of it: that may have taken less time than there is between two measurements. */
export function measureEnd({ pace, position }: Party, bytes: number, now: number): void {
  const ms = now - pace.measuredAt
  if (position === 0 || ms <= 0 || (pace.rate > 0 && ms < MEASURE_MS / 2)) return
  pace.rate = Math.max(pace.rate, ((bytes - pace.measuredFrom) * 1000) / ms)
}

/**
 * What whoever takes it, too, can be expected to get: no more than this one has had from its beginning on. Of late it may
 * have had its link to itself, when other contents that it took beside were there.
 */
export function usualRate({ rate, measuredAt, measuredFrom, begunAt, begunFrom }: Pace): number {
  const bytes = measuredFrom - begunFrom
  return bytes > 0 ? Math.min(rate, (bytes * 1000) / (measuredAt - begunAt)) : rate
}

/** To be called whenever a party may have got another parent, or its parent more: notes since when there is something to be had. */
export function noteOffer({ parent, position, pace }: Party, now: number): void {
  if (parent === undefined) return
  if (reachOf(parent) < position + PIECE) pace.offeredAt = undefined
  else pace.offeredAt ??= now
}

/** It could get on, but does not. */
export function isStalled({ root, parent, pace }: Party, now: number): boolean {
  const since = Math.max(pace.movedAt, pace.placedAt)
  if (root === 'head') return now - since > HEAD_STALL_MS
  if (parent === undefined || pace.offeredAt === undefined) return false
  return now - Math.max(since, pace.offeredAt) > STALL_MS
}

/**
 * It has not got on for so long that it needs other help than from those who are here: it has no parent, or nothing of
 * what its parents had, or all that are ahead of it stand still too.
 */
export function isStuck({ root, parent, pace }: Party, now: number): boolean {
  if (root !== undefined || now - pace.movedAt <= STUCK_MS) return false
  if (pace.offeredAt !== undefined) return now - pace.offeredAt > STUCK_MS
  if (parent === undefined) return now - pace.placedAt > STUCK_MS
  for (let at: Party | undefined = parent; at !== undefined; at = at.parent) {
    if (now - at.pace.movedAt <= STUCK_MS) return false
    // It is the one that needs help, and those behind it are helped with it.
    if (at.root === undefined && (at.parent === undefined || at.pace.offeredAt !== undefined)) return false
  }
  return true
}
