import type { MemberId } from '../identity/member.ts'

/**
 * Ranks the members for a key, which is a digest or the name of a tag: the first one is the owner of the key. Each key
 * gets its own order (rendezvous hashing), so that every member owns about the same number of keys, and a member that
 * comes or goes moves only its own keys. Ranking n members takes n steps of a few nanoseconds each.
 */
export class OwnerRanking {
  readonly #ids: readonly MemberId[]
  readonly #hashes: readonly Hash64[]

  constructor(ids: Iterable<MemberId>) {
    this.#ids = [...new Set(ids)]
    this.#hashes = this.#ids.map(hashOf)
  }

  /** The first `count` members in the order of this key. */
  first(key: string, count: number): MemberId[] {
    const keyHash = hashOf(key)
    const best: RankedMember[] = []
    for (const [at, id] of this.#ids.entries()) {
      const candidate = { id, score: combinedScore(keyHash, this.#hashes[at] as Hash64) }
      const last = best[count - 1]
      if (last !== undefined && !isBefore(candidate, last)) continue
      const index = best.findIndex((other) => isBefore(candidate, other))
      best.splice(index < 0 ? best.length : index, 0, candidate)
      if (best.length > count) best.pop()
    }
    return best.map(({ id }) => id)
  }

  owner(key: string): MemberId | undefined {
    return this.first(key, 1)[0]
  }
}

/** The score of a member for a key, evenly distributed over 53 bits and independent for each key. */
export function scoreOf(key: string, id: MemberId): number {
  return combinedScore(hashOf(key), hashOf(id))
}

interface RankedMember {
  readonly id: MemberId
  readonly score: number
}

function isBefore(one: RankedMember, other: RankedMember): boolean {
  return one.score === other.score ? one.id < other.id : one.score > other.score
}

/**
 * Two words of 32 bits. All agents of a swarm must compute the same hashes and scores, so these functions may change
 * only together with the version of the peer protocol.
 */
interface Hash64 {
  readonly high: number
  readonly low: number
}

function combinedScore(key: Hash64, member: Hash64): number {
  const low = finalMix((key.low ^ member.low) + Math.imul(key.high, 5))
  const high = finalMix((key.high ^ member.high) + low)
  return (high >>> 0) * 2 ** 21 + (low >>> 11)
}

/** The body of MurmurHash3 over the characters, twice with different constants. */
function hashOf(text: string): Hash64 {
  let high = 0x2545f491
  let low = 0x4f6cdd1d
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    high = Math.imul(
      rotateLeft(high ^ Math.imul(rotateLeft(Math.imul(code, 0xcc9e2d51), 15), 0x1b873593), 13),
      5,
    )
    low = Math.imul(
      rotateLeft(low ^ Math.imul(rotateLeft(Math.imul(code, 0x239b961b), 16), 0x38b34ae5), 17),
      9,
    )
    high = (high + 0xe6546b64) | 0
    low = (low + 0x561ccd1b) | 0
  }
  return { high: finalMix(high ^ text.length), low: finalMix(low + high) }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** The finalizer of MurmurHash3: every bit of the input affects every bit of the output. */
function finalMix(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
