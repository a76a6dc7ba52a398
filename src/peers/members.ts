import { createHash } from 'node:crypto'
import type { Member, MemberId } from './member.ts'

/** Far more than a swarm has: what is said beyond is not kept. */
const MOST_MEMBERS = 10_000
/** A link that breaks may be made anew, and the doubt about a member is given time to be answered. */
const RELINK_MS = 1000
const DOUBT_MS = 5000
/** For so long it is remembered who has gone: an old rumour must not bring them back. */
const GONE_MS = 120_000

/** That a member was alive: of two signs the one of the later life, then with the later beat, is the later one. */
export interface Sign {
  readonly id: MemberId
  readonly incarnation: number
  readonly beat: number
  /** Of the member then; left out while that is none. */
  readonly load?: number
}

interface Living {
  member: Member
  beat: number
  heardAt: number
  isLinked: boolean
  /** Since when there is no link to it any more, until that is either mended or told. */
  unlinkedAt: number | undefined
  doubtedAt: number | undefined
}

interface Gone extends Sign {
  /** It has said so itself; otherwise it was silent. */
  readonly hasLeft: boolean
  readonly at: number
}

export type Heard =
  /** A member that was not known, or began a new life. */
  | 'member'
  /** A later sign of life. */
  | 'alive'
  /** A later sign of life of one that was doubted. */
  | 'refuted'
  | 'known'
  /** It has gone since. */
  | 'outdated'
  /** There is no record that the sign could belong to. */
  | 'unknown'
  | 'full'

/** Who the other members are, by what is heard of them. A member that one has a link to is not doubted on hearsay. */
export class Members {
  readonly #living = new Map<MemberId, Living>()
  readonly #gone = new Map<MemberId, Gone>()
  /** Of all who are known: two tables with the same one hold the same lives. */
  #digest: readonly [number, number] = [0, 0]

  get size(): number {
    return this.#living.size
  }

  get digest(): readonly [number, number] {
    return this.#digest
  }

  get(id: MemberId): Member | undefined {
    return this.#living.get(id)?.member
  }

  sign(id: MemberId): Sign | undefined {
    const living = this.#living.get(id)
    return living && signOf(living.member, living.beat)
  }

  gone(id: MemberId): Gone | undefined {
    return this.#gone.get(id)
  }

  isLinked(id: MemberId): boolean {
    return this.#living.get(id)?.isLinked === true
  }

  isDoubted(id: MemberId): boolean {
    return this.#living.get(id)?.doubtedAt !== undefined
  }

  *all(): Generator<Member> {
    for (const { member } of this.#living.values()) yield member
  }

  /** A record, of whoever tells it. */
  hear(member: Member, beat: number, now: number): Heard {
    const { id, incarnation } = member
    const gone = this.#gone.get(id)
    if (gone !== undefined && !isLater({ incarnation, beat }, gone)) return 'outdated'
    const living = this.#living.get(id)
    if (living !== undefined && incarnation <= living.member.incarnation) {
      return this.hearSign(signOf(member, beat), now)
    }
    if (living === undefined && this.#living.size + this.#gone.size >= MOST_MEMBERS) return 'full'
    if (living !== undefined) this.#mix(living.member)
    this.#gone.delete(id)
    this.#mix(member)
    this.#living.set(id, {
      member,
      beat,
      heardAt: now,
      isLinked: living?.isLinked === true,
      unlinkedAt: undefined,
      doubtedAt: undefined,
    })
    return 'member'
  }

  hearSign(sign: Sign, now: number): Heard {
    const gone = this.#gone.get(sign.id)
    if (gone !== undefined) return isLater(sign, gone) ? 'unknown' : 'outdated'
    const living = this.#living.get(sign.id)
    if (living === undefined || sign.incarnation > living.member.incarnation) return 'unknown'
    if (sign.incarnation < living.member.incarnation || sign.beat <= living.beat) return 'known'
    const wasDoubted = living.doubtedAt !== undefined
    const { load = 0 } = sign
    if (load !== living.member.load) living.member = { ...living.member, load }
    living.beat = sign.beat
    living.heardAt = now
    living.doubtedAt = undefined
    return wasDoubted ? 'refuted' : 'alive'
  }

  /** True when the doubt is new here. It says that nothing was heard of the member since that sign. */
  doubt(sign: Sign, now: number): boolean {
    const living = this.#living.get(sign.id)
    if (living === undefined || living.isLinked || living.doubtedAt !== undefined) return false
    if (isLater({ incarnation: living.member.incarnation, beat: living.beat }, sign)) return false
    living.doubtedAt = now
    return true
  }

  /** True when it was there until now. */
  leave(sign: Sign, now: number): boolean {
    const living = this.#living.get(sign.id)
    if (living !== undefined && living.member.incarnation > sign.incarnation) return false
    const known = this.#gone.get(sign.id)
    if (living !== undefined) this.#remove(living, { ...sign, hasLeft: true, at: now })
    else if (known !== undefined && !isLater(known, sign)) {
      this.#gone.set(sign.id, { ...sign, hasLeft: true, at: now })
    }
    return living !== undefined
  }

  link(id: MemberId): void {
    const living = this.#living.get(id)
    if (living === undefined) return
    living.isLinked = true
    living.unlinkedAt = undefined
    living.doubtedAt = undefined
  }

  unlink(id: MemberId, now: number): void {
    const living = this.#living.get(id)
    if (living === undefined || !living.isLinked) return
    living.isLinked = false
    living.unlinkedAt = now
    living.heardAt = now
  }

  /** Who is to be doubted now: the link to it broke, or nothing was heard of it for `silentMs`. */
  doubtful(now: number, silentMs: number): Sign[] {
    const found: Sign[] = []
    for (const living of this.#living.values()) {
      if (living.isLinked || living.doubtedAt !== undefined) continue
      const isBroken = living.unlinkedAt !== undefined && now - living.unlinkedAt >= RELINK_MS
      if (!isBroken && now - living.heardAt < silentMs) continue
      living.unlinkedAt = undefined
      found.push(signOf(living.member, living.beat))
    }
    return found
  }

  /** Drops whoever was doubted for long enough, and forgets who has gone long ago. True when someone was dropped. */
  expire(now: number): boolean {
    let isChanged = false
    for (const living of this.#living.values()) {
      if (living.doubtedAt === undefined || now - living.doubtedAt < DOUBT_MS) continue
      const { id, incarnation } = living.member
      this.#remove(living, { id, incarnation, beat: living.beat, hasLeft: false, at: now })
      isChanged = true
    }
    for (const gone of this.#gone.values()) {
      if (now - gone.at < GONE_MS) break
      this.#gone.delete(gone.id)
    }
    return isChanged
  }

  /** Who was dropped for nothing being heard may come back with any sign of life. */
  forgetSilent(): void {
    for (const gone of this.#gone.values()) if (!gone.hasLeft) this.#gone.delete(gone.id)
  }

  #remove({ member }: Living, gone: Gone): void {
    this.#mix(member)
    this.#living.delete(member.id)
    // The oldest come first.
    this.#gone.delete(member.id)
    this.#gone.set(member.id, gone)
  }

  #mix(member: Member): void {
    const [one, two] = digestOf(member)
    this.#digest = [(this.#digest[0] ^ one) >>> 0, (this.#digest[1] ^ two) >>> 0]
  }
}

export function signOf({ id, incarnation, load }: Member, beat: number): Sign {
  return load === 0 ? { id, incarnation, beat } : { id, incarnation, beat, load }
}

const digests = new WeakMap<Member, readonly [number, number]>()

/** Of one life. */
export function digestOf(member: Member): readonly [number, number] {
  const known = digests.get(member)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(`${member.id} ${member.incarnation}`).digest()
  const made = [hash.readUInt32BE(0), hash.readUInt32BE(4)] as const
  digests.set(member, made)
  return made
}

type Life = Pick<Sign, 'incarnation' | 'beat'>

export function isLater(one: Life, two: Life): boolean {
  return one.incarnation > two.incarnation || (one.incarnation === two.incarnation && one.beat > two.beat)
}
