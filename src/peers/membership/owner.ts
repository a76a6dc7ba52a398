import type { MemberId } from '../identity/member.ts'

/** Two halves of 32 bits. All agents of a swarm must come to the same ones, so this may change only with the protocol. */
interface Seed {
  readonly high: number
  readonly low: number
}

/**
 * The order in which members answer for a key (a digest, or a tag's name): the first live one is its owner. It is drawn
 * anew for every key (rendezvous hashing), so each member owns about as much as any other, and when one comes or goes
 * only its own keys move. For one key and n members this takes n steps of a few nanoseconds.
 */
export class Ranks {
  readonly #ids: readonly MemberId[]
  readonly #seeds: readonly Seed[]

  constructor(ids: Iterable<MemberId>) {
    this.#ids = [...new Set(ids)]
    this.#seeds = this.#ids.map(seedOf)
  }

  get size(): number {
    return this.#ids.length
  }

  /** The first so many. */
  first(key: string, count: number): MemberId[] {
    const seed = seedOf(key)
    const best: { id: MemberId; draw: number }[] = []
    for (const [at, id] of this.#ids.entries()) {
      const draw = mixed(seed, this.#seeds[at] as Seed)
      const last = best[count - 1]
      if (last !== undefined && !isBefore(draw, id, last)) continue
      const place = best.findIndex((other) => isBefore(draw, id, other))
      best.splice(place < 0 ? best.length : place, 0, { id, draw })
      if (best.length > count) best.pop()
    }
    return best.map(({ id }) => id)
  }

  owner(key: string): MemberId | undefined {
    return this.first(key, 1)[0]
  }
}

/** What the lot gives to a member for a key: evenly spread over 53 bits, and another for each key. */
export function drawOf(key: string, id: MemberId): number {
  return mixed(seedOf(key), seedOf(id))
}

function isBefore(draw: number, id: MemberId, other: { id: MemberId; draw: number }): boolean {
  return draw === other.draw ? id < other.id : draw > other.draw
}

function mixed(key: Seed, member: Seed): number {
  const low = finished((key.low ^ member.low) + Math.imul(key.high, 5))
  const high = finished((key.high ^ member.high) + low)
  return (high >>> 0) * 2 ** 21 + (low >>> 11)
}

/** MurmurHash3's body over the characters, twice, with other constants; the digest in a key is random enough already. */
function seedOf(text: string): Seed {
  let high = 0x2545f491
  let low = 0x4f6cdd1d
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    high = Math.imul(rotated(high ^ Math.imul(rotated(Math.imul(code, 0xcc9e2d51), 15), 0x1b873593), 13), 5)
    low = Math.imul(rotated(low ^ Math.imul(rotated(Math.imul(code, 0x239b961b), 16), 0x38b34ae5), 17), 9)
    high = (high + 0xe6546b64) | 0
    low = (low + 0x561ccd1b) | 0
  }
  return { high: finished(high ^ text.length), low: finished(low + high) }
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

/** MurmurHash3's end: every bit of the input decides over every bit of the output. */
function finished(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
