import type { MemberId } from '../../identity/member.ts'
import type { Heartbeat, RecordWithHeartbeat, SignedHeartbeat } from '../../identity/signed-record.ts'
import type { ListChecksum } from '../members/list-checksum.ts'
import type { PseudonymousNotice } from './rate-limit-notices.ts'

/** These many records and heartbeats of the largest size stay well below the limit of a message. */
export const MAX_RECORDS_PER_MESSAGE = 20
export const MAX_HEARTBEATS_PER_MESSAGE = 300

/** The heartbeats of all members that the sender knows from one id up to, but not including, another. */
export interface Summary {
  readonly from: string
  readonly to: string
  /** Without signatures: the receiver does not rely on these heartbeats, but answers with what the sender lacks. */
  readonly heartbeats: readonly Heartbeat[]
}

/** All lists are empty in most messages, and are then left out of the JSON. */
export interface GossipMessage {
  readonly records: readonly RecordWithHeartbeat[]
  /** Members that were alive. */
  readonly heartbeats: readonly SignedHeartbeat[]
  /** Members of which nothing was heard since these heartbeats. */
  readonly suspects: readonly SignedHeartbeat[]
  /** Members that have said that they leave. */
  readonly goodbyes: readonly SignedHeartbeat[]
  /** Members whose records the sender asks for. */
  readonly wanted: readonly MemberId[]
  readonly notices: readonly PseudonymousNotice[]
  /** The checksum of the sender's member list. */
  readonly checksum?: ListChecksum | undefined
  /** The receiver answers a summary with what the sender lacks. */
  readonly summary?: Summary | undefined
}

export const EMPTY_MESSAGE: GossipMessage = {
  records: [],
  heartbeats: [],
  suspects: [],
  goodbyes: [],
  wanted: [],
  notices: [],
}
