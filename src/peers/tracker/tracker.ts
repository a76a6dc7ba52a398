import { Deferred } from '../../lib/async/deferred.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { Throttle } from '../../lib/async/throttle.ts'
import { MARK_BYTES, Marks } from '../../oci/marks.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Holding, Holdings } from '../../ports/holdings.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import { type Contact, MARKS_AT_ONCE, type News } from '../wire/messages.ts'
import { Gathering } from './delivery-plan.ts'
import type { Coming, Guest, Place } from './session.ts'
import { Excused } from './stragglers/excused.ts'
import type { Order } from './tree/plan-events.ts'

/** How often every gathering is looked at. */
const TICK_MS = 250
/** A guest that has said nothing for so long is gone, and is told so often that its host is not. */
const SILENCE_MS = 6000
const BEAT_MS = 1000
/** One in which nobody waits any more is kept for those who come later: who has it all need not be found out again. */
const KEPT_MS = 10 * 60_000
const MOST_KEPT = 2000
/** Marks are passed on in batches: the first hop is later by this, the ones after it are not. */
const PASS_ON_MS = 25
/** How long others wait for the owner to begin. */
const BEGIN_MS = 1000

/** One who may have it because it was its owner before. */
export interface Holder {
  readonly contact: Contact
  readonly zone: string | undefined
  readonly position: number
  readonly whole: boolean
}

export interface HostingOptions {
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly holdings: Holdings
  /** This node is told at some table how to get it, which will soon be this one. */
  readonly isSeated: (want: Want) => boolean
  /** How many peers a member gives to. */
  readonly loadOf: (id: MemberId) => number
  /** By membership; one that is new may not be known yet. */
  readonly isMember: (id: MemberId) => boolean
  /** Who has it, of those who may have been its owner before. */
  readonly holders: (want: Want) => Promise<readonly Holder[]>
  readonly now?: (() => number) | undefined
}

/**
 * The gatherings of what this node is asked for as the owner of its digest. Each name of a digest has one of its own: who
 * gets it under one name may not know it to be there under another, and gives it to nobody then.
 */
export class Hosting {
  readonly #options: HostingOptions
  readonly #hosted = new Map<string, Hosted>()
  readonly #opening = new SharedWork<Hosted>()
  readonly #excused = new Excused()
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #isClosed = false

  constructor(options: HostingOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  has(want: Want): boolean {
    const key = keyOf(want)
    return this.#hosted.has(key) || this.#opening.has(key)
  }

  /** A place for one who wants this; the first one begins the gathering. */
  async sit(want: Want, coming: Coming, guest: Guest): Promise<Place> {
    const hosted = this.#hosted.get(keyOf(want)) ?? (await this.#open(want, coming))
    if (coming.contact.id !== this.#options.self.contact.id) await hosted.begun()
    return hosted.sit(coming, guest)
  }

  /** Whoever may have had it before is asked first. */
  #open(want: Want, { from, position }: Coming): Promise<Hosted> {
    const isTakeover = from !== undefined || position > 0
    return this.#opening.run(keyOf(want), () => this.#begin(want, isTakeover)).promise
  }

  async #begin(want: Want, isTakeover: boolean): Promise<Hosted> {
    const { holdings, holders } = this.#options
    const isHere = (await holdings.look(want))?.whole === true
    const found = isHere ? [] : await holders(want)
    const held = await holdings.look(want)
    if (this.#isClosed) throw new Failure('stopping', 'the agent is stopping')
    const hosted = new Hosted(want, this.#options, {
      isTakeover,
      held,
      holders: found,
      excused: this.#excused,
      now: this.#now,
    })
    this.#hosted.set(keyOf(want), hosted)
    return hosted
  }

  /** Membership has changed. */
  keepMembers(): void {
    for (const hosted of this.#hosted.values()) hosted.keepMembers()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const hosted of this.#hosted.values()) hosted.close()
    this.#hosted.clear()
  }

  #tick(): void {
    const now = this.#now()
    for (const [key, hosted] of this.#hosted) {
      hosted.tick(now)
      const isOld = hosted.isIdle && (now - hosted.usedAt > KEPT_MS || this.#hosted.size > MOST_KEPT)
      if (!isOld) continue
      hosted.close()
      this.#hosted.delete(key)
    }
  }
}

/** What there is when a gathering begins. */
interface Found {
  readonly isTakeover: boolean
  /** Of this node. */
  readonly held: Holding | undefined
  readonly holders: readonly Holder[]
  readonly excused: Excused
  readonly now: () => number
}

interface Sitting {
  readonly guest: Guest
  heardAt: number
  /** Marks told so far. */
  told: number
  isWhole: boolean
}

/** One gathering, and the lines to those who are in it. */
class Hosted {
  usedAt: number
  readonly #now: () => number
  readonly #begun = new Deferred<void>()
  readonly #want: Want
  readonly #self: MemberId
  readonly #options: HostingOptions
  readonly #gathering: Gathering
  readonly #places = new Map<MemberId, Sitting>()
  readonly #contacts = new Map<MemberId, Contact>()
  /** As the head has them: from upstream's bytes. */
  readonly #marks = new Marks()
  readonly #late: NodeJS.Timeout
  #unwatch = (): void => {}
  #beatAt = 0
  readonly #passing = new Throttle(PASS_ON_MS, () => this.#passMarksOn())
  readonly #looking = new Throttle(PASS_ON_MS, () => void this.#lookAtSelf().catch(() => {}))
  #closed = false

  constructor(want: Want, options: HostingOptions, { isTakeover, held, holders, excused, now }: Found) {
    this.#now = now
    this.usedAt = now()
    this.#want = want
    this.#options = options
    const { contact } = options.self
    this.#self = contact.id
    this.#gathering = new Gathering({
      digest: want.digest,
      self: this.#self,
      takeover: isTakeover,
      excused,
      loadOf: options.loadOf,
      now,
    })
    this.#contacts.set(this.#self, contact)
    for (const holder of holders) {
      const { id } = holder.contact
      this.#contacts.set(id, holder.contact)
      const { zone, position, whole } = holder
      this.#carryOut(this.#gathering.on({ is: 'joined', id, zone, position, whole }))
    }
    if (held?.whole === true || !options.isSeated(want)) this.#takePart(held)
    this.#late = setTimeout(() => {
      this.#takePartAfterAll().catch(this.#begun.resolve)
    }, BEGIN_MS).unref()
    const look = (): void => {
      this.#begun.resolve()
      this.#looking.call()
    }
    void options.holdings.fetch(want).then(look, look)
  }

  get isIdle(): boolean {
    return this.#gathering.wanting === 0
  }

  /** This node is at it, so that it comes before all others, or is not going to be; or it has all of it from elsewhere. */
  async begun(): Promise<void> {
    await this.#begun.promise
    if (!this.#gathering.has(this.#self)) await this.#lookAtSelf()
  }

  sit({ contact, zone, position, from, hasFailed, best }: Coming, guest: Guest): Place {
    const { id } = contact
    this.usedAt = this.#now()
    const place: Sitting = { guest, heardAt: this.usedAt, told: 0, isWhole: false }
    this.#places.get(id)?.guest.abandoned()
    this.#places.set(id, place)
    this.#contacts.set(id, contact)
    this.#vouchForHolders()
    const joined = { is: 'joined', id, zone, position, whole: false, from, hasFailed, best } as const
    this.#carryOut(this.#gathering.on(joined))
    if (id === this.#self) {
      this.#watch()
      this.#begun.resolve()
    }
    this.#passMarksOn()
    return {
      tell: (news) => {
        if (this.#places.get(id) === place) this.#hear(id, place, news)
      },
      leave: () => {
        if (this.#places.get(id) !== place) return
        // Who has it all goes on being there for others, as long as membership tells whether it is there.
        if (place.isWhole && this.#options.isMember(id)) this.#places.delete(id)
        else this.#leave(id)
      },
    }
  }

  /** Who sits here is heard itself; who only has it is known by membership. */
  keepMembers(): void {
    for (const id of [...this.#contacts.keys()]) {
      if (!this.#places.has(id) && !this.#options.isMember(id)) this.#leave(id)
    }
  }

  tick(now: number): void {
    if (this.isIdle && this.#places.size === 0) return
    for (const [id, { heardAt }] of this.#places) {
      if (now - heardAt > SILENCE_MS && id !== this.#self) this.#leave(id)
    }
    if (now - this.#beatAt > BEAT_MS) {
      this.#beatAt = now
      this.#vouchForHolders()
      for (const { guest } of this.#places.values()) guest.guided({ is: 'beat' })
    }
    this.#carryOut(this.#gathering.tick())
  }

  close(): void {
    this.#closed = true
    this.#unwatch()
    this.#passing.stop()
    this.#looking.stop()
    clearTimeout(this.#late)
    for (const { guest } of this.#places.values()) guest.abandoned()
    this.#places.clear()
  }

  /** Who has it all has no line to here any more; that it is there is known by membership. */
  #vouchForHolders(): void {
    for (const id of this.#contacts.keys()) {
      if (!this.#places.has(id)) this.#carryOut(this.#gathering.on({ is: 'at', id, position: 0 }))
    }
  }

  /** With what this node has already, or is getting without having been told so here. */
  #takePart(held: Holding | undefined): void {
    if (held === undefined) return
    const { contact, zone } = this.#options.self
    const { position, whole } = held
    const from = whole ? undefined : 'upstream'
    this.#carryOut(this.#gathering.on({ is: 'joined', id: contact.id, zone, position, whole, from }))
    this.#watch()
    this.#begun.resolve()
  }

  /** It is told elsewhere, by one that it takes for the owner, and still is. */
  async #takePartAfterAll(): Promise<void> {
    const held = await this.#options.holdings.look(this.#want)
    if (!this.#closed && !this.#gathering.has(this.#self)) this.#takePart(held)
    this.#begun.resolve()
  }

  /** From the first of its transfer on, if there is one under way. */
  #watch(): void {
    this.#unwatch()
    this.#unwatch = this.#options.holdings.watch(this.#want.digest, () => this.#looking.call())
  }

  #leave(id: MemberId): void {
    const place = this.#places.get(id)
    this.#places.delete(id)
    if (id !== this.#self) this.#contacts.delete(id)
    place?.guest.abandoned()
    this.#carryOut(this.#gathering.on({ is: 'left', id }))
  }

  #hear(id: MemberId, place: Sitting, news: News): void {
    place.heardAt = this.#now()
    this.usedAt = place.heardAt
    if (news.is === 'whole') place.isWhole = true
    if (news.is === 'marks') this.#learn(id, news.first, Buffer.from(news.marks, 'base64'))
    else this.#carryOut(this.#gathering.on({ ...news, id }))
  }

  #carryOut(orders: readonly Order[]): void {
    for (const order of orders) {
      const place = this.#places.get(order.to)
      if (place === undefined) continue
      if (order.do === 'end') {
        place.guest.guided({ is: 'end' })
        this.#places.delete(order.to)
        if (order.to !== this.#self) this.#contacts.delete(order.to)
        place.guest.abandoned()
      } else if (order.do !== 'take') place.guest.guided({ is: order.do })
      else {
        const parent = this.#contacts.get(order.from)
        if (parent !== undefined) place.guest.guided({ is: 'take', parent })
      }
    }
  }

  /** How this node gets on with it itself. */
  async #lookAtSelf(): Promise<void> {
    const { holdings } = this.#options
    const held = await holdings.look(this.#want)
    if (this.#closed) return
    const id = this.#self
    if (held === undefined) return this.#carryOut(this.#gathering.on({ is: 'left', id }))
    // Nobody here could bring it, but somebody elsewhere.
    if (held.whole && !this.#gathering.has(id)) return this.#takePart(held)
    if (held.size !== undefined) this.#carryOut(this.#gathering.on({ is: 'sized', size: held.size }))
    if (held.whole) this.#carryOut(this.#gathering.on({ is: 'whole', id }))
    else this.#carryOut(this.#gathering.on({ is: 'at', id, position: held.position }))
    if (held.whole || this.#gathering.head === id) {
      const first = this.#marks.count
      const marks = await holdings.marks(this.#want.digest, first)
      if (marks !== undefined) this.#learn(id, first, marks)
    }
  }

  /** Only what the head has is upstream's own, or what was vouched for before. */
  #learn(id: MemberId, first: number, marks: Uint8Array): void {
    const { head } = this.#gathering
    if (head !== undefined && head !== id) return
    const known = this.#marks.count - first
    if (known < 0 || marks.length <= known * MARK_BYTES) return
    this.#marks.append(marks.subarray(known * MARK_BYTES))
    this.#passing.call()
  }

  #passMarksOn(): void {
    for (const [id, place] of this.#places) {
      if (id === this.#gathering.head) continue
      while (place.told < this.#marks.count) {
        const first = place.told
        const marks = this.#marks.since(first, first + MARKS_AT_ONCE)
        place.told += marks.length / MARK_BYTES
        place.guest.guided({ is: 'marks', first, marks: Buffer.from(marks).toString('base64') })
      }
    }
  }
}

function keyOf({ digest, repository }: Want): string {
  return `${digest} ${repositoryKey(repository)}`
}
