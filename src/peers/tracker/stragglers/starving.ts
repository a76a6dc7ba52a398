import { PIECE } from '../tree/choose-parent.ts'
import { isWanting, type Party, reachOf } from '../tree/participant.ts'

/** Who has no more than this left to get, or will have it so soon, stays where it is. */
const MUCH = 16 * PIECE
const SOON_MS = 1500
/** A place is worth a try for so long. */
const TRY_MS = 1000

/**
 * Those who have all that their parent has, while one who has all there is gives to nobody: the first of each line of
 * followers, and no more of them than there are such idle ones in their zone.
 */
export function starvingBesideIdle(
  parties: Iterable<Party>,
  bytes: number | undefined,
  now: number,
): Party[] {
  if (bytes === undefined) return []
  const idle = new Map<string | undefined, number>()
  const starving: Party[] = []
  for (const party of parties) {
    const { root, children, isSlow, suspicions, zone } = party
    if (root === 'holder' && children.size === 0 && !isSlow && !suspicions.isOutcast) {
      idle.set(zone, (idle.get(zone) ?? 0) + 1)
    } else if (isStarving(party, bytes, now)) starving.push(party)
  }
  if (idle.size === 0) return []
  return starving
    .sort((one, other) => one.depth - other.depth)
    .filter(({ parent, zone }) => {
      const left = idle.get(zone) ?? 0
      if (left === 0 || (parent !== undefined && starving.includes(parent))) return false
      idle.set(zone, left - 1)
      return true
    })
}

function isStarving({ parent, position, pace }: Party, bytes: number, now: number): boolean {
  if (parent === undefined || !isWanting(parent) || now - pace.placedAt < TRY_MS) return false
  const missing = bytes - position
  if (missing < MUCH || reachOf(parent) - position > 2 * PIECE) return false
  return parent.pace.rate === 0 || missing > (parent.pace.rate * SOON_MS) / 1000
}
