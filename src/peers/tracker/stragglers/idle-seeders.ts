import { PIECE_BYTES } from '../tree/choose-parent.ts'
import { givableEnd, isIncomplete, type Participant } from '../tree/participant.ts'

/** A participant that lacks no more than this, or will be complete this soon, keeps its parent: a change would not pay. */
const MIN_MISSING_BYTES = 16 * PIECE_BYTES
const NEARLY_COMPLETE_MS = 1500
/** A new parent has this long to deliver before its child is moved again. */
const TRIAL_MS = 1000

/**
 * Participants that have all bytes of their parent while a seeder in their zone has no children: the topmost of each
 * subtree, and no more of them than there are idle seeders in the zone.
 */
export function findStarvingBesideIdleSeeders(
  participants: Iterable<Participant>,
  size: number | undefined,
  nowMs: number,
): Participant[] {
  if (size === undefined) return []
  const idleByZone = new Map<string | undefined, number>()
  const starving: Participant[] = []
  for (const participant of participants) {
    const { role, children, isSlow, reputation, zone } = participant
    if (role === 'seeder' && children.size === 0 && !isSlow && !reputation.isBanned) {
      idleByZone.set(zone, (idleByZone.get(zone) ?? 0) + 1)
    } else if (isStarving(participant, size, nowMs)) starving.push(participant)
  }
  if (idleByZone.size === 0) return []
  return starving
    .sort((one, other) => one.depth - other.depth)
    .filter(({ parent, zone }) => {
      const idle = idleByZone.get(zone) ?? 0
      if (idle === 0 || (parent !== undefined && starving.includes(parent))) return false
      idleByZone.set(zone, idle - 1)
      return true
    })
}

function isStarving({ parent, position, progress }: Participant, size: number, nowMs: number): boolean {
  if (parent === undefined || !isIncomplete(parent) || nowMs - progress.assignedAtMs < TRIAL_MS) return false
  const missing = size - position
  if (missing < MIN_MISSING_BYTES || givableEnd(parent) - position > 2 * PIECE_BYTES) return false
  const { bytesPerSecond } = parent.progress
  return bytesPerSecond === 0 || missing > (bytesPerSecond * NEARLY_COMPLETE_MS) / 1000
}
