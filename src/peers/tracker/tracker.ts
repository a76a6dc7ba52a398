import { SharedWork } from '../../lib/async/shared-work.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { Contact } from '../wire/protocol/messages.ts'
import type { JoinRequest, SessionListener, TrackerSession } from './session.ts'
import { ClearedFetchers } from './stragglers/upstream-trials.ts'
import { TrackedDigest } from './tracked-digest.ts'

const TICK_MS = 250
/** A tick that is late by more than this is skipped. */
const MAX_TICK_DELAY_MS = 1000
/** A plan whose participants are all complete stays for this time, so that its seeders need not be found again. */
const MAX_IDLE_MS = 10 * 60_000
/** With more tracked digests than this, those whose participants are all complete are dropped at once. */
const MAX_IDLE_PLANS = 2000

export interface TrackerOptions {
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly localContent: LocalContent
  readonly isMember: (id: MemberId) => boolean
  /** The former owners of a digest that have the whole content. */
  readonly findSeeders: (want: Want) => Promise<readonly JoinRequest[]>
  readonly now?: (() => number) | undefined
}

/**
 * The owner's side of the delivery plans of all digests that members ask this node for. Each repository of a digest has a
 * plan of its own: a member that has the content under one name may not know that it exists under another, and then
 * refuses it to peers that ask by that other name.
 */
export class Tracker {
  readonly #options: TrackerOptions
  readonly #tracked = new Map<string, TrackedDigest>()
  readonly #opening = new SharedWork<TrackedDigest>()
  readonly #clearedFetchers = new ClearedFetchers()
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #tickedAtMs: number
  #hasSkippedTick = false
  #isClosed = false

  constructor(options: TrackerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#tickedAtMs = this.#now()
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  has(want: Want): boolean {
    const key = keyOf(want)
    return this.#tracked.has(key) || this.#opening.has(key)
  }

  /** Makes a member a participant. The first member that joins begins the delivery plan. */
  async join(want: Want, request: JoinRequest, listener: SessionListener): Promise<TrackerSession> {
    const tracked = this.#tracked.get(keyOf(want)) ?? (await this.#open(want, request))
    const isOwner = request.contact.id === this.#options.self.contact.id
    if (!isOwner) await tracked.ready()
    return tracked.join(request, listener)
  }

  removeFormerMembers(): void {
    for (const tracked of this.#tracked.values()) tracked.removeFormerMembers()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const tracked of this.#tracked.values()) tracked.close()
    this.#tracked.clear()
  }

  #open(want: Want, { from, position }: JoinRequest): Promise<TrackedDigest> {
    // A member that has bytes, or a source, most likely took part in a former owner's plan.
    const isTakeover = from !== undefined || position > 0
    return this.#opening.run(keyOf(want), () => this.#track(want, isTakeover)).promise
  }

  async #track(want: Want, isTakeover: boolean): Promise<TrackedDigest> {
    const { self, localContent, isMember, findSeeders } = this.#options
    const isComplete = (await localContent.state(want))?.isComplete === true
    const seeders = isComplete ? [] : await findSeeders(want)
    const localState = await localContent.state(want)
    if (this.#isClosed) throw new Failure('stopping', 'the agent is stopping')
    const tracked = new TrackedDigest({
      want,
      self,
      localContent,
      isMember,
      isTakeover,
      localState,
      seeders,
      clearedFetchers: this.#clearedFetchers,
      now: this.#now,
    })
    this.#tracked.set(keyOf(want), tracked)
    return tracked
  }

  #tick(): void {
    const nowMs = this.#now()
    const isLate = nowMs - this.#tickedAtMs > TICK_MS + MAX_TICK_DELAY_MS
    this.#tickedAtMs = nowMs
    // After a stall of this process, reports of participants have not been read yet, so none of them is judged as silent.
    this.#hasSkippedTick = isLate && !this.#hasSkippedTick
    if (this.#hasSkippedTick) return
    for (const [key, tracked] of this.#tracked) {
      tracked.tick(nowMs)
      const isUnused = nowMs - tracked.usedAtMs > MAX_IDLE_MS || this.#tracked.size > MAX_IDLE_PLANS
      if (!tracked.isIdle || !isUnused) continue
      tracked.close()
      this.#tracked.delete(key)
    }
  }
}

function keyOf({ digest, repository }: Want): string {
  return `${digest} ${repositoryKey(repository)}`
}
