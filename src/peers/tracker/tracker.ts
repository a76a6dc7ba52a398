import { Deferred } from '../../lib/async/deferred.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { Throttle } from '../../lib/async/throttle.ts'
import { CHECKPOINT_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent, LocalState } from '../../ports/local-content.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import { type Contact, MARKS_AT_ONCE, type News } from '../wire/messages.ts'
import { DeliveryPlan } from './delivery-plan.ts'
import type { JoinRequest, SessionListener, TrackerSession } from './session.ts'
import { ClearedFetchers } from './stragglers/cleared-fetchers.ts'
import type { PlanInstruction } from './tree/plan-events.ts'

/** How often every gathering is looked at. */
const TICK_MS = 250
/** A listener that has said nothing for so long is gone, and is told so often that its host is not. */
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
export interface FoundSeeder {
  readonly contact: Contact
  readonly zone: string | undefined
  readonly position: number
  readonly whole: boolean
}

export interface TrackerOptions {
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly holdings: LocalContent
  /** This node is told at some table how to get it, which will soon be this one. */
  readonly isSeated: (want: Want) => boolean
  /** How many peers a member gives to. */
  readonly loadOf: (id: MemberId) => number
  /** By membership; one that is new may not be known yet. */
  readonly isMember: (id: MemberId) => boolean
  /** Who has it, of those who may have been its owner before. */
  readonly findSeeders: (want: Want) => Promise<readonly FoundSeeder[]>
  readonly now?: (() => number) | undefined
}

/**
 * The gatherings of what this node is asked for as the owner of its digest. Each name of a digest has one of its own: who
 * gets it under one name may not know it to be there under another, and gives it to nobody then.
 */
export class Tracker {
  readonly #options: TrackerOptions
  readonly #tracked = new Map<string, TrackedDigest>()
  readonly #opening = new SharedWork<TrackedDigest>()
  readonly #clearedFetchers = new ClearedFetchers()
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #isClosed = false

  constructor(options: TrackerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  has(want: Want): boolean {
    const key = keyOf(want)
    return this.#tracked.has(key) || this.#opening.has(key)
  }

  /** A place for one who wants this; the first one begins the gathering. */
  async join(want: Want, request: JoinRequest, listener: SessionListener): Promise<TrackerSession> {
    const tracked = this.#tracked.get(keyOf(want)) ?? (await this.#open(want, request))
    if (request.contact.id !== this.#options.self.contact.id) await tracked.begun()
    return tracked.join(request, listener)
  }

  /** Whoever may have had it before is asked first. */
  #open(want: Want, { from, position }: JoinRequest): Promise<TrackedDigest> {
    const isTakeover = from !== undefined || position > 0
    return this.#opening.run(keyOf(want), () => this.#begin(want, isTakeover)).promise
  }

  async #begin(want: Want, isTakeover: boolean): Promise<TrackedDigest> {
    const { holdings, findSeeders } = this.#options
    const isHere = (await holdings.state(want))?.isComplete === true
    const found = isHere ? [] : await findSeeders(want)
    const held = await holdings.state(want)
    if (this.#isClosed) throw new Failure('stopping', 'the agent is stopping')
    const tracked = new TrackedDigest(want, this.#options, {
      isTakeover,
      held,
      findSeeders: found,
      clearedFetchers: this.#clearedFetchers,
      now: this.#now,
    })
    this.#tracked.set(keyOf(want), tracked)
    return tracked
  }

  /** Membership has changed. */
  keepMembers(): void {
    for (const tracked of this.#tracked.values()) tracked.keepMembers()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const tracked of this.#tracked.values()) tracked.close()
    this.#tracked.clear()
  }

  #tick(): void {
    const now = this.#now()
    for (const [key, tracked] of this.#tracked) {
      tracked.tick(now)
      const isOld = tracked.isIdle && (now - tracked.usedAt > KEPT_MS || this.#tracked.size > MOST_KEPT)
      if (!isOld) continue
      tracked.close()
      this.#tracked.delete(key)
    }
  }
}

/** What there is when a gathering begins. */
interface Found {
  readonly isTakeover: boolean
  /** Of this node. */
  readonly held: LocalState | undefined
  readonly findSeeders: readonly FoundSeeder[]
  readonly clearedFetchers: ClearedFetchers
  readonly now: () => number
}

interface Sitting {
  readonly listener: SessionListener
  heardAt: number
  /** Marks told so far. */
  told: number
  isWhole: boolean
}

/** One gathering, and the lines to those who are in it. */
class TrackedDigest {
  usedAt: number
  readonly #now: () => number
  readonly #begun = new Deferred<void>()
  readonly #want: Want
  readonly #self: MemberId
  readonly #options: TrackerOptions
  readonly #plan: DeliveryPlan
  readonly #places = new Map<MemberId, Sitting>()
  readonly #contacts = new Map<MemberId, Contact>()
  /** As the head has them: from upstream's bytes. */
  readonly #marks = new Checkpoints()
  readonly #late: NodeJS.Timeout
  #unwatch = (): void => {}
  #beatAt = 0
  readonly #passing = new Throttle(PASS_ON_MS, () => this.#passMarksOn())
  readonly #looking = new Throttle(PASS_ON_MS, () => void this.#lookAtSelf().catch(() => {}))
  #closed = false

  constructor(
    want: Want,
    options: TrackerOptions,
    { isTakeover, held, findSeeders, clearedFetchers, now }: Found,
  ) {
    this.#now = now
    this.usedAt = now()
    this.#want = want
    this.#options = options
    const { contact } = options.self
    this.#self = contact.id
    this.#plan = new DeliveryPlan({
      digest: want.digest,
      owner: this.#self,
      isTakeover,
      clearedFetchers,
      loadOf: options.loadOf,
      now,
    })
    this.#contacts.set(this.#self, contact)
    for (const holder of findSeeders) {
      const { id } = holder.contact
      this.#contacts.set(id, holder.contact)
      const { zone, position, whole } = holder
      this.#carryOut(this.#plan.handle({ is: 'joined', id, zone, position, whole }))
    }
    if (held?.isComplete === true || !options.isSeated(want)) this.#takePart(held)
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
    return this.#plan.incompleteCount === 0
  }

  /** This node is at it, so that it comes before all others, or is not going to be; or it has all of it from elsewhere. */
  async begun(): Promise<void> {
    await this.#begun.promise
    if (!this.#plan.has(this.#self)) await this.#lookAtSelf()
  }

  join(
    { contact, zone, position, from, hasFailed, best }: JoinRequest,
    listener: SessionListener,
  ): TrackerSession {
    const { id } = contact
    this.usedAt = this.#now()
    const place: Sitting = { listener, heardAt: this.usedAt, told: 0, isWhole: false }
    this.#places.get(id)?.listener.onEnded()
    this.#places.set(id, place)
    this.#contacts.set(id, contact)
    this.#vouchForHolders()
    const joined = { is: 'joined', id, zone, position, whole: false, from, hasFailed, best } as const
    this.#carryOut(this.#plan.handle(joined))
    if (id === this.#self) {
      this.#watch()
      this.#begun.resolve()
    }
    this.#passMarksOn()
    return {
      report: (news) => {
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
      for (const { listener } of this.#places.values()) listener.onInstruction({ is: 'beat' })
    }
    this.#carryOut(this.#plan.tick())
  }

  close(): void {
    this.#closed = true
    this.#unwatch()
    this.#passing.stop()
    this.#looking.stop()
    clearTimeout(this.#late)
    for (const { listener } of this.#places.values()) listener.onEnded()
    this.#places.clear()
  }

  /** Who has it all has no line to here any more; that it is there is known by membership. */
  #vouchForHolders(): void {
    for (const id of this.#contacts.keys()) {
      if (!this.#places.has(id)) this.#carryOut(this.#plan.handle({ is: 'at', id, position: 0 }))
    }
  }

  /** With what this node has already, or is getting without having been told so here. */
  #takePart(held: LocalState | undefined): void {
    if (held === undefined) return
    const { contact, zone } = this.#options.self
    const { availableBytes: position, isComplete: whole } = held
    const from = whole ? undefined : 'upstream'
    this.#carryOut(this.#plan.handle({ is: 'joined', id: contact.id, zone, position, whole, from }))
    this.#watch()
    this.#begun.resolve()
  }

  /** It is told elsewhere, by one that it takes for the owner, and still is. */
  async #takePartAfterAll(): Promise<void> {
    const held = await this.#options.holdings.state(this.#want)
    if (!this.#closed && !this.#plan.has(this.#self)) this.#takePart(held)
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
    place?.listener.onEnded()
    this.#carryOut(this.#plan.handle({ is: 'left', id }))
  }

  #hear(id: MemberId, place: Sitting, news: News): void {
    place.heardAt = this.#now()
    this.usedAt = place.heardAt
    if (news.is === 'whole') place.isWhole = true
    if (news.is === 'marks') this.#learn(id, news.first, Buffer.from(news.marks, 'base64'))
    else this.#carryOut(this.#plan.handle({ ...news, id }))
  }

  #carryOut(instructions: readonly PlanInstruction[]): void {
    for (const instruction of instructions) {
      const place = this.#places.get(instruction.to)
      if (place === undefined) continue
      if (instruction.do === 'end') {
        place.listener.onInstruction({ is: 'end' })
        this.#places.delete(instruction.to)
        if (instruction.to !== this.#self) this.#contacts.delete(instruction.to)
        place.listener.onEnded()
      } else if (instruction.do !== 'take') place.listener.onInstruction({ is: instruction.do })
      else {
        const parent = this.#contacts.get(instruction.from)
        if (parent !== undefined) place.listener.onInstruction({ is: 'take', parent })
      }
    }
  }

  /** How this node gets on with it itself. */
  async #lookAtSelf(): Promise<void> {
    const { holdings } = this.#options
    const held = await holdings.state(this.#want)
    if (this.#closed) return
    const id = this.#self
    if (held === undefined) return this.#carryOut(this.#plan.handle({ is: 'left', id }))
    // Nobody here could bring it, but somebody elsewhere.
    if (held.isComplete && !this.#plan.has(id)) return this.#takePart(held)
    if (held.size !== undefined) this.#carryOut(this.#plan.handle({ is: 'sized', size: held.size }))
    if (held.isComplete) this.#carryOut(this.#plan.handle({ is: 'whole', id }))
    else this.#carryOut(this.#plan.handle({ is: 'at', id, position: held.availableBytes }))
    if (held.isComplete || this.#plan.fetcher === id) {
      const first = this.#marks.count
      const marks = await holdings.checkpoints(this.#want.digest, first)
      if (marks !== undefined) this.#learn(id, first, marks)
    }
  }

  /** Only what the head has is upstream's own, or what was vouched for before. */
  #learn(id: MemberId, first: number, marks: Uint8Array): void {
    const { fetcher } = this.#plan
    if (fetcher !== undefined && fetcher !== id) return
    const known = this.#marks.count - first
    if (known < 0 || marks.length <= known * CHECKPOINT_BYTES) return
    this.#marks.append(marks.subarray(known * CHECKPOINT_BYTES))
    this.#passing.call()
  }

  #passMarksOn(): void {
    for (const [id, place] of this.#places) {
      if (id === this.#plan.fetcher) continue
      while (place.told < this.#marks.count) {
        const first = place.told
        const marks = this.#marks.since(first, first + MARKS_AT_ONCE)
        place.told += marks.length / CHECKPOINT_BYTES
        place.listener.onInstruction({ is: 'marks', first, marks: Buffer.from(marks).toString('base64') })
      }
    }
  }
}

function keyOf({ digest, repository }: Want): string {
  return `${digest} ${repositoryKey(repository)}`
}
