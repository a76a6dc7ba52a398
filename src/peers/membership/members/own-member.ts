import type { Identity } from '../../identity/identity.ts'
import type { Member } from '../../identity/member.ts'
import {
  type Heartbeat,
  type HeartbeatKind,
  heartbeatOf,
  isHeartbeatAuthentic,
  isLater,
  isRecordAuthentic,
  MAX_INCARNATION,
  type RecordWithHeartbeat,
  type SignedHeartbeat,
  type SignedRecord,
  Signer,
  type VerifySignature,
} from '../../identity/signed-record.ts'

/** A member that is suspected often still refutes no more often than this. */
const MIN_REFUTATION_INTERVAL_MS = 1000
/** Two agents with the same identity would otherwise begin new incarnations in turn without end. */
const MIN_INCARNATION_INTERVAL_MS = 5000

export interface OwnMemberOptions {
  readonly identity: Identity
  readonly now: number
  readonly random: () => number
  readonly verifies: VerifySignature
}

/** This agent as a member: its signed record, and its heartbeats. */
export class OwnMember {
  readonly #signer: Signer
  readonly #random: () => number
  readonly #verifies: VerifySignature
  #member: Member
  #record: SignedRecord
  #heartbeat: SignedHeartbeat
  #heartbeatAt: number
  /** Varies the heartbeat interval, so that members that start together do not send their heartbeats at the same time. */
  #jitter: number
  #isSuspected = false
  #newIncarnationAt = Number.NEGATIVE_INFINITY

  constructor(member: Member, { identity, now, random, verifies }: OwnMemberOptions) {
    this.#signer = new Signer(identity)
    this.#random = random
    this.#verifies = verifies
    this.#member = member
    this.#record = this.#signer.signRecord(member)
    this.#heartbeat = this.#signer.signHeartbeat('alive', heartbeatOf(member, 0))
    this.#heartbeatAt = now
    this.#jitter = random()
  }

  get member(): Member {
    return this.#member
  }

  get heartbeat(): SignedHeartbeat {
    return this.#heartbeat
  }

  get recordWithHeartbeat(): RecordWithHeartbeat {
    return { record: this.#record, heartbeat: this.#heartbeat }
  }

  goodbye(): SignedHeartbeat {
    return this.#signer.signHeartbeat('goodbye', heartbeatOf(this.#member, this.#heartbeat.sequence))
  }

  /** Signs a new heartbeat when the member is suspected, or the interval is over. Returns which of them it was. */
  renewHeartbeat(now: number, intervalMs: number): 'refutation' | 'interval' | undefined {
    const elapsedMs = now - this.#heartbeatAt
    const isRefutation = this.#isSuspected && elapsedMs >= MIN_REFUTATION_INTERVAL_MS
    if (!isRefutation && elapsedMs < intervalMs * this.#jitter) return undefined
    const { sequence } = this.#heartbeat
    this.#heartbeat = this.#signer.signHeartbeat('alive', heartbeatOf(this.#member, sequence + 1))
    this.#heartbeatAt = now
    this.#jitter = 0.75 + this.#random() / 2
    this.#isSuspected = false
    return isRefutation ? 'refutation' : 'interval'
  }

  /** Receives a record that another member has passed on as the one of this agent. */
  receiveRecord(record: SignedRecord, now: number): 'new-incarnation' | 'known' | 'forged' {
    const { incarnation } = record.member
    return this.#outdo(incarnation, () => isRecordAuthentic(record, this.#verifies), now)
  }

  /** Receives a heartbeat or goodbye that another member has passed on as one of this agent. */
  receiveHeartbeat(
    kind: HeartbeatKind,
    heartbeat: SignedHeartbeat,
    now: number,
  ): 'new-incarnation' | 'known' | 'forged' {
    const isSigned = () => isHeartbeatAuthentic(kind, this.#record.key, heartbeat, this.#verifies)
    return this.#outdo(heartbeat.incarnation, isSigned, now)
  }

  /**
   * Another member suspects this agent since that heartbeat. The heartbeat may be forged, since members that suspect a
   * member need not verify it: any later heartbeat refutes it.
   */
  receiveSuspect(heartbeat: Heartbeat): void {
    if (!isLater(this.#heartbeat, heartbeat)) this.#isSuspected = true
  }

  /**
   * Of an incarnation of its own that is later than the present one, such as one before the clock was set back, the agent
   * begins a still later one.
   */
  #outdo(incarnation: number, isSigned: () => boolean, now: number): 'new-incarnation' | 'known' | 'forged' {
    const isRecent = now - this.#newIncarnationAt < MIN_INCARNATION_INTERVAL_MS
    if (incarnation <= this.#member.incarnation || isRecent) return 'known'
    if (!isSigned()) return 'forged'
    if (incarnation === MAX_INCARNATION) return 'known'
    this.#newIncarnationAt = now
    this.#member = { ...this.#member, incarnation: incarnation + 1 }
    this.#record = this.#signer.signRecord(this.#member)
    this.#heartbeat = this.#signer.signHeartbeat('alive', heartbeatOf(this.#member, 0))
    return 'new-incarnation'
  }
}
