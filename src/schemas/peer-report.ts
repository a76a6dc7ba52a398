import * as v from 'valibot'

/** What the reports on a node and on a digest contain about the other agents of its swarm. */
const bytes = v.pipe(v.number(), v.minValue(0))
const span = v.number()
const time = v.pipe(v.string(), v.isoTimestamp())

/** An agent of the swarm. Its peers connect to `address`. */
const agent = { name: v.string(), address: v.string(), zone: v.nullable(v.string()) }

/** The owner of a digest or tag: it decides who downloads the digest from whom, or says what the tag is. */
const OwnerReport = v.object({ name: v.string(), self: v.boolean() })
export type OwnerReport = v.InferOutput<typeof OwnerReport>

export const PeersReport = v.object({
  self: v.object(agent),
  /** Received from peers, and sent to them, since the agent started. */
  bytes: v.object({ in: bytes, out: bytes }),
  /** How many other agents are known now. */
  count: v.number(),
  /** The first 1000 by exchanged bytes. */
  members: v.array(
    v.object({
      id: v.string(),
      ...agent,
      version: v.string(),
      /** The peer speaks the protocol version of this node. Others are not asked for content. */
      understood: v.boolean(),
      since: time,
      /** Bytes that this node received from the peer, and sent to it, since `since`. */
      taken: bytes,
      given: bytes,
    }),
  ),
})
export type PeersReport = v.InferOutput<typeof PeersReport>

export const HoldersReport = v.object({
  owner: OwnerReport,
  /** How many peers were asked for this report whether they have the content; the likeliest come first. */
  asked: v.number(),
  answered: v.number(),
  /** The peers that have all of it (`whole`), or the first `position` bytes. */
  holders: v.array(v.object({ ...agent, position: bytes, whole: v.boolean() })),
})
export type HoldersReport = v.InferOutput<typeof HoldersReport>

/** An interaction of this node with its peers in a flight, `afterMs` after the start of the flight. */
export const PeerStep = v.variant('is', [
  v.object({
    is: v.literal('guided'),
    afterMs: span,
    /** null when no owner can be reached. */
    owner: v.nullable(OwnerReport),
    /** The instruction of the owner: see `peer.instructed` in `observe/events.ts`. */
    course: v.picklist(['take', 'fetch', 'alone', 'wait', 'end', 'unguided']),
    /** The name of the peer to download it from. */
    from: v.nullable(v.string()),
  }),
  /** A download from a peer, which ended after `afterMs`. */
  v.object({
    is: v.literal('taken'),
    afterMs: span,
    from: v.string(),
    bytes,
    ms: span,
    error: v.nullable(v.string()),
  }),
])
export type PeerStep = v.InferOutput<typeof PeerStep>
