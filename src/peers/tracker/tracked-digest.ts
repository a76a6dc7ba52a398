import { Throttle } from '../../lib/async/throttle.ts'
import { CHECKPOINT_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import type { LocalContent, LocalState } from '../../ports/local-content.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { Contact, Progress } from '../wire/protocol/messages.ts'
import { DeliveryPlan } from './delivery-plan.ts'
import { LocalMember } from './local-member.ts'
import { ParticipantSession } from './participant-session.ts'
import type { JoinRequest, SessionListener, TrackerSession } from './session.ts'
import type { ClearedFetchers } from './stragglers/upstream-trials.ts'
import type { PlanInstruction } from './tree/plan-events.ts'

/** A participant that has sent nothing for this time is removed. Participants report every second. */
const MAX_SILENCE_MS = 6000
/** How often participants get a heartbeat, which shows that the tracker is alive. */
const HEARTBEAT_MS = 1000
/** Checkpoints are relayed in batches. Only the first step of a chain is delayed by this, because later ones need none. */
const RELAY_INTERVAL_MS = 25

export interface TrackedDigestOptions {
  readonly want: Want
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly localContent: LocalContent
  readonly isMember: (id: MemberId) => boolean
  readonly isTakeover: boolean
  /** The local content when tracking begins. */
  readonly localState: LocalState | undefined
  /** Members that are known to have the whole content. */
  readonly seeders: readonly JoinRequest[]
  readonly clearedFetchers: ClearedFetchers
  readonly now: () => number
}

const NO_LISTENER: SessionListener = { onInstruction: () => {}, onEnded: () => {} }

/** One digest in one repository: its delivery plan, and the sessions that connect participants with the plan. */
export class TrackedDigest {
  /** When a participant last joined or reported. */
  usedAtMs: number
  readonly #options: TrackedDigestOptions
  readonly #plan: DeliveryPlan
  readonly #sessions = new Map<MemberId, ParticipantSession>()
  /** How to reach each participant, with a session or without. */
  readonly #contacts = new Map<MemberId, Contact>()
  /** The checkpoints of upstream's bytes, or of a stored content; all participants get them. */
  readonly #checkpoints = new Checkpoints()
  readonly #relay = new Throttle(RELAY_INTERVAL_MS, () => this.#relayCheckpoints())
  readonly #localMember: LocalMember
  #heartbeatAtMs = 0

  constructor(options: TrackedDigestOptions) {
    const { want, self, localContent, isTakeover, localState, seeders, clearedFetchers, now } = options
    this.#options = options
    this.usedAtMs = now()
    const { digest } = want
    this.#plan = new DeliveryPlan({ digest, isTakeover, clearedFetchers, now })
    for (const seeder of seeders) this.#join(seeder, NO_LISTENER).leave()
    const { id } = self.contact
    this.#localMember = new LocalMember({
      want,
      self,
      localContent,
      state: localState,
      plan: {
        hasSession: () => this.#sessions.has(id),
        isParticipant: () => this.#plan.has(id),
        checkpointCount: () => this.#checkpoints.count,
        join: (request, listener) => this.#join(request, listener),
        leave: () => this.#remove(id),
        setSize: (size) => this.#carryOut(this.#plan.handle({ is: 'sized', size })),
        addCheckpoints: (first, checkpoints) => this.#addCheckpoints(id, first, checkpoints),
      },
    })
  }

  /** All participants have the whole content. */
  get isIdle(): boolean {
    return this.#plan.incompleteCount === 0
  }

  /** Resolves when other members may join: the owner has joined before them, or will not do so. */
  ready(): Promise<void> {
    return this.#localMember.ready()
  }

  join(request: JoinRequest, listener: SessionListener): TrackerSession {
    const session = this.#join(request, listener)
    if (request.contact.id === this.#options.self.contact.id) this.#localMember.noteJoined()
    return session
  }

  /** Removes seeders without a session that membership no longer knows. A session notices by itself when its end is gone. */
  removeFormerMembers(): void {
    for (const id of [...this.#contacts.keys()]) {
      if (!this.#sessions.has(id) && !this.#options.isMember(id)) this.#remove(id)
    }
  }

  tick(nowMs: number): void {
    if (this.isIdle && this.#sessions.size === 0) return
    for (const [id, { heardAtMs }] of this.#sessions) {
      if (nowMs - heardAtMs > MAX_SILENCE_MS) this.#remove(id)
    }
    if (nowMs - this.#heartbeatAtMs > HEARTBEAT_MS) {
      this.#heartbeatAtMs = nowMs
      this.#reportForSeeders()
      for (const session of this.#sessions.values()) session.instruct({ is: 'beat' })
    }
    this.#carryOut(this.#plan.tick())
  }

  close(): void {
    this.#localMember.close()
    this.#relay.stop()
    for (const session of this.#sessions.values()) session.end()
    this.#sessions.clear()
  }

  #join(request: JoinRequest, listener: SessionListener): ParticipantSession {
    const { contact, zone, position, whole = false, from, hasFailed, best } = request
    const { id } = contact
    const { now, isMember } = this.#options
    this.usedAtMs = now()
    this.#sessions.get(id)?.end()
    const session = new ParticipantSession({
      listener,
      whole,
      now,
      onReport: (progress) => this.#onReport(id, progress),
      onLeave: () => {
        if (session.isWhole && isMember(id)) this.#sessions.delete(id)
        else this.#remove(id)
      },
    })
    this.#sessions.set(id, session)
    this.#contacts.set(id, contact)
    this.#reportForSeeders()
    const joined = { is: 'joined', id, zone, position, whole, from, hasFailed, best } as const
    this.#carryOut(this.#plan.handle(joined))
    this.#relayCheckpoints()
    return session
  }

  /** Reports for seeders without a session. Membership knows that they are alive. */
  #reportForSeeders(): void {
    for (const id of this.#contacts.keys()) {
      if (!this.#sessions.has(id)) this.#carryOut(this.#plan.handle({ is: 'at', id, position: 0 }))
    }
  }

  #onReport(id: MemberId, progress: Progress): void {
    this.usedAtMs = this.#options.now()
    if (progress.is === 'marks') {
      this.#addCheckpoints(id, progress.first, Buffer.from(progress.marks, 'base64'))
    } else this.#carryOut(this.#plan.handle({ ...progress, id }))
  }

  #remove(id: MemberId): void {
    this.#endSession(id)
    this.#carryOut(this.#plan.handle({ is: 'left', id }))
  }

  #endSession(id: MemberId): void {
    const session = this.#sessions.get(id)
    this.#sessions.delete(id)
    this.#contacts.delete(id)
    session?.end()
  }

  #carryOut(instructions: readonly PlanInstruction[]): void {
    for (const instruction of instructions) {
      const session = this.#sessions.get(instruction.to)
      if (session === undefined) continue
      if (instruction.do === 'end') {
        session.instruct({ is: 'end' })
        this.#endSession(instruction.to)
      } else if (instruction.do !== 'take') session.instruct({ is: instruction.do })
      else {
        const parent = this.#contacts.get(instruction.from)
        if (parent !== undefined) session.instruct({ is: 'take', parent })
      }
    }
  }

  /** Only the fetcher has upstream's own bytes; without a fetcher, a participant only has bytes that were vouched for. */
  #addCheckpoints(id: MemberId, first: number, checkpoints: Uint8Array): void {
    const { fetcher } = this.#plan
    if (fetcher !== undefined && fetcher !== id) return
    const known = this.#checkpoints.count - first
    if (known < 0 || checkpoints.length <= known * CHECKPOINT_BYTES) return
    this.#checkpoints.append(checkpoints.subarray(known * CHECKPOINT_BYTES))
    this.#relay.call()
  }

  #relayCheckpoints(): void {
    for (const [id, session] of this.#sessions) {
      if (id !== this.#plan.fetcher) session.sendCheckpoints(this.#checkpoints)
    }
  }
}
