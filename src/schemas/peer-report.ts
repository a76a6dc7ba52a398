import * as v from 'valibot'
import { bytes, bytesBySource, count, span, time } from './units.ts'

/** An agent of the swarm. Its peers connect to `address`. */
const AgentReport = v.object({ name: v.string(), address: v.string(), zone: v.nullable(v.string()) })
export type AgentReport = v.InferOutput<typeof AgentReport>

/** The owner of a digest or tag: it decides who downloads the digest from whom, or says what the tag is. */
const OwnerReport = v.object({ name: v.string(), self: v.boolean() })
export type OwnerReport = v.InferOutput<typeof OwnerReport>

const PeerReport = v.object({
  id: v.string(),
  ...AgentReport.entries,
  version: v.string(),
  /** The peer speaks the protocol version of this node. Others are not asked for content. */
  understood: v.boolean(),
  since: time,
  /** Bytes that this node received from the peer, and sent to it, since `since`. */
  taken: bytes,
  given: bytes,
})
export type PeerReport = v.InferOutput<typeof PeerReport>

/** A content that this node takes from a peer now. */
export interface TakingReport {
  readonly digest: string
  readonly from: string
}

/** The swarm as this node knows it. */
export interface SwarmReport {
  readonly self: AgentReport
  readonly members: PeerReport[]
  readonly taking: readonly TakingReport[]
}

/** A transfer of an agent that is under way. */
const TransferActivity = v.object({
  digest: v.pipe(v.string(), v.maxLength(200)),
  kind: v.picklist(['manifest', 'blob']),
  /** The peer or the host that brings it; null while nobody does. */
  from: v.nullable(v.pipe(v.string(), v.maxLength(255))),
  /** `from` is the name of a peer. */
  isPeer: v.boolean(),
  position: bytes,
  size: v.nullable(bytes),
})
export type TransferActivity = v.InferOutput<typeof TransferActivity>

/** A member answers with so many of its transfers. */
export const MAX_TRANSFERS = 32

/** What an agent does now, and has done since its start. */
export const ActivityReport = v.object({
  served: bytesBySource,
  fetched: v.object({ peer: bytes, objectStore: bytes, upstream: bytes }),
  store: v.object({ blobs: count, bytes }),
  /** How many of the images that it keeps warm are completely stored, and how many are not. */
  warm: v.object({ stored: count, missing: count }),
  /** The first 32 transfers that are under way. */
  transfers: v.pipe(v.array(TransferActivity), v.maxLength(MAX_TRANSFERS)),
})
export type ActivityReport = v.InferOutput<typeof ActivityReport>

const MemberActivity = v.object({
  ...AgentReport.entries,
  /** It is this node. */
  self: v.boolean(),
  /** null for an agent that has not answered. */
  activity: v.nullable(ActivityReport),
})
export type MemberActivity = v.InferOutput<typeof MemberActivity>

/** What the agents of the swarm do now, as they answered when they were asked for this report. */
export const SwarmActivityReport = v.object({
  /** How many other agents were known when they were asked. */
  count,
  /** This node comes first, then the other agents that were asked, at most 64. */
  members: v.array(MemberActivity),
})
export type SwarmActivityReport = v.InferOutput<typeof SwarmActivityReport>

/** The swarm in the status of a node. */
export const PeersReport = v.object({
  self: AgentReport,
  /** Received from peers, and sent to them, since the agent started. */
  bytes: v.object({ in: bytes, out: bytes }),
  /** How many other agents are known now. */
  count: v.number(),
  /** The first 1000 by exchanged bytes. */
  members: v.array(PeerReport),
})
export type PeersReport = v.InferOutput<typeof PeersReport>

/** A peer that has all of a content (`whole`), or the first `position` bytes. */
const ContentPeerReport = v.object({ ...AgentReport.entries, position: bytes, whole: v.boolean() })
export type ContentPeerReport = v.InferOutput<typeof ContentPeerReport>

/** Which peers have a content. */
export const AvailabilityReport = v.object({
  owner: OwnerReport,
  /** How many peers were asked for this report whether they have the content; the likeliest come first. */
  asked: v.number(),
  answered: v.number(),
  holders: v.array(ContentPeerReport),
})
export type AvailabilityReport = v.InferOutput<typeof AvailabilityReport>

/** An instruction of the owner to this node, `afterMs` after the start of the flight. */
const InstructedStep = v.object({
  is: v.literal('guided'),
  afterMs: span,
  /** null when no owner can be reached. */
  owner: v.nullable(OwnerReport),
  /**
   * - `take`: download it from the peer `from`
   * - `fetch`: download it from upstream, for all who want it
   * - `alone`: download it from upstream for this node alone, as no peer can help
   * - `wait`: wait until the owner names a peer, or has this node ask upstream
   * - `end`: upstream failed those who asked it
   * - `unguided`: no owner can be reached, so this node decides for itself
   */
  course: v.picklist(['take', 'fetch', 'alone', 'wait', 'end', 'unguided']),
  /** The name of the peer to download it from. */
  from: v.nullable(v.string()),
})
export type InstructionReport = v.InferOutput<typeof InstructedStep>['course']

/** A download from a peer, which ended `afterMs` after the start of the flight. */
const DownloadStep = v.object({
  is: v.literal('taken'),
  afterMs: span,
  from: v.string(),
  bytes,
  ms: span,
  error: v.nullable(v.string()),
})

/** An interaction of this node with its peers in a flight. */
export const PeerStep = v.variant('is', [InstructedStep, DownloadStep])
export type PeerStep = v.InferOutput<typeof PeerStep>
