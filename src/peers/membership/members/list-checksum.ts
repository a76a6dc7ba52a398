import { createHash } from 'node:crypto'
import type { Member } from '../../identity/member.ts'

/** The exclusive or of these values over all members of a list is the same in whichever order they were added. */
export type IncarnationChecksum = readonly [high: number, low: number]

/** The checksum of a member list, with the number of its members. */
export type ListChecksum = readonly [high: number, low: number, members: number]

const checksums = new WeakMap<Member, IncarnationChecksum>()

/** Depends on the id and the incarnation of the member only. */
export function checksumOf(member: Member): IncarnationChecksum {
  const known = checksums.get(member)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(`${member.id} ${member.incarnation}`).digest()
  const checksum = [hash.readUInt32BE(0), hash.readUInt32BE(4)] as const
  checksums.set(member, checksum)
  return checksum
}

export function xorChecksums(one: IncarnationChecksum, two: IncarnationChecksum): IncarnationChecksum {
  return [(one[0] ^ two[0]) >>> 0, (one[1] ^ two[1]) >>> 0]
}
