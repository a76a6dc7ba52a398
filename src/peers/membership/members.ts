import { createHash } from 'node:crypto'
import type { Member, MemberId } from '../identity/member.ts'
import {
  type Heartbeat,
  isHeartbeatAuthentic,
  isLater,
  isRecordAuthentic,
  type SignedHeartbeat,
  type SignedRecord,
  type VerifySignature,
  verifySignature,
} from '../identity/signed-record.ts'

/** Far more than a swarm has: what is said beyond is not kept. */
const MOST_MEMBERS = 10_000
/** A link that breaks may be made anew, and the doubt about a member is given time to be answered. */
const RELINK_MS = 1000
const DOUBT_MS = 5000
/** For so long it is remembered who has gone: an old rumour must not bring them back. */
const GONE_MS = 120_000

interface Living {
  readonly record: SignedRecord
  member: Member
  sign: SignedHeartbeat
  heardAt: number
  isLinked: boolean
  /** Since when there is no link to it any more, until that is either mended or told. */
  unlinkedAt: number | undefined
  doubtedAt: number | undefined
}

interface Gone extends SignedHeartbeat {
  readonly key: string
  /** It has said so itself; otherwise it was silent. */
  readonly hasLeft: boolean
  readonly at: number
}

export type Heard =
  /** A member that was not known, or began a new incarnation. */
  | 'member'
  /** A later sign of incarnation. */
  | 'alive'
  /** A later sign of incarnation of one that was doubted. */
  | 'refuted'
  | 'known'
  /** It has gone since. */
  | 'outdated'
  /** There is no record that the sign could belong to. */
  | 'unknown'
  | 'full'
  /** The member has not said that. */
  | 'forged'

/**
 * Who the other members are, by what is heard of them, of which only what they have signed is believed. A member that
 * one has a link to is not doubted on hearsay.
 */
export class Members {
  readonly #verifies: VerifySignature
  readonly #living = new Map<MemberId, Living>()
  readonly #gone = new Map<MemberId, Gone>()
  /** Of all who are known: two tables with the same one hold the same lives. */
  #digest: readonly [number, number] = [0, 0]

  /** Signatures are looked at only where they would change something. */
  constructor(verify: VerifySignature = verifySignature) {
    this.#verifies = verify
  }

  get size(): number {
    return this.#living.size
  }

  get digest(): readonly [number, number] {
    return this.#digest
  }

  get(id: MemberId): Member | undefined {
    return this.#living.get(id)?.member
  }

  record(id: MemberId): SignedRecord | undefined {
    return this.#living.get(id)?.record
  }

  sign(id: MemberId): SignedHeartbeat | undefined {
    return this.#living.get(id)?.sign
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

  /** Whoever tells it; for who tells it of itself there is always room. */
  hear(
    record: SignedRecord,
    sign: SignedHeartbeat,
    now: number,
    { isDirect = false }: { isDirect?: boolean } = {},
  ): Heard {
    const { member, key } = record
    const { id, incarnation } = member
    const gone = this.#gone.get(id)
    if (gone !== undefined && !isLater(sign, gone)) return 'outdated'
    const living = this.#living.get(id)
    if (living !== undefined && incarnation <= living.member.incarnation) return this.hearSign(sign, now)
    const isFull = living === undefined && this.#living.size + this.#gone.size >= MOST_MEMBERS
    if (isFull && !isDirect) return 'full'
    if (!isRecordAuthentic(record, this.#verifies)) return 'forged'
    if (!isHeartbeatAuthentic('alive', key, sign, this.#verifies)) return 'forged'
    if (isFull) this.#makeRoom()
    if (living !== undefined) this.#mix(living.member)
    this.#gone.delete(id)
    this.#mix(member)
    this.#living.set(id, {
      record,
      member: withLoadOf(member, sign),
      sign,
      heardAt: now,
      isLinked: living?.isLinked === true,
      unlinkedAt: undefined,
      doubtedAt: undefined,
    })
    return 'member'
  }

  hearSign(sign: SignedHeartbeat, now: number): Heard {
    const gone = this.#gone.get(sign.id)
    if (gone !== undefined) return isLater(sign, gone) ? 'unknown' : 'outdated'
    const living = this.#living.get(sign.id)
    if (living === undefined || sign.incarnation > living.member.incarnation) return 'unknown'
    if (!isLater(sign, living.sign)) return 'known'
    if (!isHeartbeatAuthentic('alive', living.record.key, sign, this.#verifies)) return 'forged'
    const wasDoubted = living.doubtedAt !== undefined
    living.member = withLoadOf(living.member, sign)
    living.sign = sign
    living.heardAt = now
    living.doubtedAt = undefined
    return wasDoubted ? 'refuted' : 'alive'
  }

  /** True when the doubt is new here. It says that nothing was heard of the member since that sign. */
  doubt(sign: Heartbeat, now: number): boolean {
    const living = this.#living.get(sign.id)
    if (living === undefined || living.isLinked || living.doubtedAt !== undefined) return false
    if (isLater(living.sign, sign)) return false
    living.doubtedAt = now
    return true
  }

  /** By its own word. */
  leave(goodbye: SignedHeartbeat, now: number): 'left' | 'known' | 'forged' {
    const { id } = goodbye
    const living = this.#living.get(id)
    const known = this.#gone.get(id)
    const key = living?.record.key ?? known?.key
    const isOutdated = (living?.member.incarnation ?? known?.incarnation ?? 0) > goodbye.incarnation
    if (key === undefined || isOutdated || known?.hasLeft === true) return 'known'
    if (!isHeartbeatAuthentic('goodbye', key, goodbye, this.#verifies)) return 'forged'
    const gone: Gone = { ...goodbye, key, hasLeft: true, at: now }
    if (living !== undefined) {
      this.#remove(living, gone)
      return 'left'
    }
    this.#bury(gone)
    return 'known'
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
  doubtful(now: number, silentMs: number): SignedHeartbeat[] {
    const found: SignedHeartbeat[] = []
    for (const living of this.#living.values()) {
      if (living.isLinked || living.doubtedAt !== undefined) continue
      const isBroken = living.unlinkedAt !== undefined && now - living.unlinkedAt >= RELINK_MS
      if (!isBroken && now - living.heardAt < silentMs) continue
      living.unlinkedAt = undefined
      found.push(living.sign)
    }
    return found
  }

  /** Drops whoever was doubted for long enough, and forgets who has gone long ago. True when someone was dropped. */
  expire(now: number): boolean {
    let isChanged = false
    for (const living of this.#living.values()) {
      if (living.doubtedAt === undefined || now - living.doubtedAt < DOUBT_MS) continue
      this.#remove(living, { ...living.sign, key: living.record.key, hasLeft: false, at: now })
      isChanged = true
    }
    for (const gone of this.#gone.values()) {
      if (now - gone.at < GONE_MS) break
      this.#gone.delete(gone.id)
    }
    return isChanged
  }

  /** Who was dropped for nothing being heard may come back with any sign of incarnation. */
  forgetSilent(): void {
    for (const gone of this.#gone.values()) if (!gone.hasLeft) this.#gone.delete(gone.id)
  }

  /** Who is known by hearsay only, and came last, gives way. */
  #makeRoom(): void {
    let last: Living | undefined
    for (const living of this.#living.values()) if (!living.isLinked) last = living
    if (last !== undefined) {
      this.#mix(last.member)
      this.#living.delete(last.member.id)
    } else for (const id of [...this.#gone.keys()].slice(0, 1)) this.#gone.delete(id)
  }

  #remove({ member }: Living, gone: Gone): void {
    this.#mix(member)
    this.#living.delete(member.id)
    this.#bury(gone)
  }

  /** The oldest come first. */
  #bury(gone: Gone): void {
    this.#gone.delete(gone.id)
    this.#gone.set(gone.id, gone)
  }

  #mix(member: Member): void {
    const [one, two] = digestOf(member)
    this.#digest = [(this.#digest[0] ^ one) >>> 0, (this.#digest[1] ^ two) >>> 0]
  }
}

function withLoadOf(member: Member, { load = 0 }: Heartbeat): Member {
  return load === member.load ? member : { ...member, load }
}

const digests = new WeakMap<Member, readonly [number, number]>()

/** Of one incarnation. */
export function digestOf(member: Member): readonly [number, number] {
  const known = digests.get(member)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(`${member.id} ${member.incarnation}`).digest()
  const made = [hash.readUInt32BE(0), hash.readUInt32BE(4)] as const
  digests.set(member, made)
  return made
}
