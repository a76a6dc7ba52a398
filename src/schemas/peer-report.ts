import * as v from 'valibot'

/** What the reports on this node and on a digest say about the other agents of its swarm. */
const bytes = v.pipe(v.number(), v.minValue(0))
const span = v.number()
const time = v.pipe(v.string(), v.isoTimestamp())

/** `address` is where its peers reach it. */
const place = { name: v.string(), address: v.string(), zone: v.nullable(v.string()) }

/** Who says who takes a content from whom. */
const Owner = v.object({ name: v.string(), self: v.boolean() })

export const PeersReport = v.object({
  self: v.object(place),
  /** Taken from peers, and given to them, since the start. */
  bytes: v.object({ in: bytes, out: bytes }),
  /** How many others are there now. */
  count: v.number(),
  /** Those that most was exchanged with; all, unless there are very many. */
  members: v.array(
    v.object({
      id: v.string(),
      ...place,
      version: v.string(),
      /** It speaks as this node does; who does not is not asked. */
      understood: v.boolean(),
      /** To how many peers it gives content, as it said last, rounded down to a power of two. */
      load: v.number(),
      since: time,
      /** What this node was given by it, and gave to it, since then. */
      taken: bytes,
      given: bytes,
    }),
  ),
})
export type PeersReport = v.InferOutput<typeof PeersReport>

export const HoldersReport = v.object({
  owner: Owner,
  /** Of the others, so many were asked just now whether they have it, those first who are likeliest to. */
  asked: v.number(),
  answered: v.number(),
  /** Who has some of it; `position` bytes while it is not `whole`. */
  holders: v.array(v.object({ ...place, position: bytes, whole: v.boolean() })),
})
export type HoldersReport = v.InferOutput<typeof HoldersReport>

/** Something that happened between this node and its peers in a transfer, `afterMs` from its start. */
export const PeerStep = v.variant('is', [
  v.object({
    is: v.literal('guided'),
    afterMs: span,
    /** null: none could be reached. */
    owner: v.nullable(Owner),
    course: v.picklist(['take', 'fetch', 'alone', 'wait', 'end', 'unguided']),
    /** Whom to take it from. */
    from: v.nullable(v.string()),
  }),
  /** `afterMs` is when that was over. */
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
