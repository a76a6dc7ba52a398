import * as v from 'valibot'
import { CopiesReport, ObjectStoreReport } from './object-store-report.ts'
import { PeersReport } from './peer-report.ts'
import { bytes, bytesBySource, count, time } from './units.ts'

/** A flight in progress. */
export const FlightReport = v.object({
  digest: v.string(),
  kind: v.picklist(['manifest', 'blob']),
  repository: v.string(),
  startedAt: time,
  position: bytes,
  size: v.nullable(bytes),
  waiters: v.number(),
  source: v.nullable(v.string()),
})
export type FlightReport = v.InferOutput<typeof FlightReport>

/** An image of a local source that is not served, because an earlier source has another one under the same name. */
const HiddenImageReport = v.object({
  /** Such as `docker.io/acme/app:v1`. */
  image: v.string(),
  /** Of its manifest; of its config, if Docker has no manifest of it. */
  digest: v.string(),
  /** The source whose image is served. */
  servedBy: v.string(),
  servedDigest: v.string(),
})

/** A local source, as the agent sees it now. */
export const SourceReport = v.object({
  name: v.string(),
  /** Neither peers nor upstream are asked for its images. */
  exclusive: v.boolean(),
  /** null when the source cannot be read. */
  repositories: v.nullable(count),
  /** Why it cannot be read, or what it has failed to do lately, as a sentence; null when there is nothing to say. */
  problem: v.nullable(v.string()),
  /** Its images that are not served, a hundred at most; earlier versions do not say. */
  hidden: v.optional(v.array(HiddenImageReport)),
  /** false: not all images are compared with those of the other sources, so `hidden` may lack some; earlier versions do not say. */
  compared: v.optional(v.boolean()),
})
export type SourceReport = v.InferOutput<typeof SourceReport>

const savedAmounts = {
  /** What clients and peers got without a transfer from upstream for their request. */
  bytes,
  toClients: bytes,
  toPeers: bytes,
  /** What clients got because upstream has sent it for their request. */
  fromUpstream: bytes,
  /** The price of `bytes` by the settings; null without a price. */
  cost: v.nullable(v.number()),
}

/** A webhook; its name is the host of its URL. */
const WebhookReport = v.object({
  name: v.string(),
  /** Events that are still to be sent. */
  waiting: count,
  /** Events that were sent, and that were not, since the start of the agent. */
  delivered: count,
  dropped: count,
  /** Why the last attempt has failed; null when it has not. */
  problem: v.nullable(v.string()),
})

/**
 * The state of a node. As in every response of the admin API under /api/v1, times are RFC 3339 in UTC, sizes are bytes,
 * durations are milliseconds, and an unknown value is null, so that every key is always present. Clients validate the
 * responses with these schemas.
 */
export const StatusReport = v.object({
  version: v.string(),
  /** The name of the node, by `nodeName` or else of the machine. */
  name: v.string(),
  startedAt: time,
  /** `registry` is null until the registry API listens. */
  addresses: v.object({
    registry: v.nullable(v.string()),
    admin: v.nullable(v.string()),
    /** Of metrics and health alone; null without one. Earlier versions do not say. */
    metrics: v.optional(v.nullable(v.string())),
  }),
  data: v.string(),
  /** Patterns of the repositories that take pushes, as the settings name them; earlier versions do not say. */
  hosted: v.optional(v.array(v.string())),
  ready: v.boolean(),
  reasons: v.array(v.string()),
  /** What is wrong although the node serves, such as a file with credentials that cannot be read any more; sentences. */
  problems: v.array(v.string()),
  store: v.object({
    blobs: v.number(),
    bytes,
    limitBytes: v.nullable(bytes),
    evictedBytes: bytes,
    /** What of that belongs to hosted repositories. */
    hosted: v.object({ blobs: v.number(), bytes }),
    scrub: v.object({
      /** The limit of the reading rate; 0 turns the scrub off, so that only `agent verify` re-hashes. */
      bytesPerSecond: bytes,
      state: v.picklist(['resting', 'under-way', 'verifying']),
      /** Corrupt blobs that the current round has found. */
      found: v.number(),
      lastRound: v.nullable(v.object({ endedAt: time, found: v.number() })),
    }),
  }),
  flights: v.array(FlightReport),
  requests: v.number(),
  /** When a client last asked for a manifest or a blob; null while none has since the start. */
  lastPullAt: v.nullable(time),
  served: bytesBySource,
  /** What clients of the registry API use of the limited resources now. */
  clients: v.object({
    connections: v.number(),
    /** HTTP/2 connections, which `connections` includes. */
    sessions: v.number(),
    /** Responses in progress. */
    answers: v.number(),
    /** Pipelined requests that wait for the response to an earlier request. */
    pipelined: v.number(),
    /** Send slots in use: bodies that are being sent. */
    seats: v.number(),
    /** Bodies that wait for a send slot. */
    waiting: v.number(),
    /** Buffers in use for parts of bodies. */
    pieces: v.number(),
    /** Open files of stored blobs. */
    files: v.number(),
  }),
  fetched: v.object({ peer: bytes, objectStore: bytes, upstream: bytes }),
  /** Kept across restarts. */
  saved: v.object({
    ...savedAmounts,
    /** The first day that is counted, such as `2026-01-31`; null while nothing is. */
    since: v.nullable(v.string()),
    registries: v.array(v.object({ registry: v.string(), ...savedAmounts })),
  }),
  /** How many of the images that the settings keep warm are completely stored, and how many are not; earlier versions do not say. */
  warm: v.optional(v.object({ stored: count, missing: count })),
  upstreams: v.array(
    v.object({
      host: v.string(),
      requests: v.number(),
      failures: v.number(),
      lastAt: v.nullable(time),
      lastStatus: v.nullable(v.number()),
      /** Why no requests are sent to the host at the moment; null when they are. */
      resting: v.nullable(v.string()),
      quota: v.nullable(
        v.object({
          remaining: v.number(),
          limit: v.nullable(v.number()),
          windowSeconds: v.nullable(v.number()),
        }),
      ),
    }),
  ),
  /** The local sources, in the order in which they are asked. */
  sources: v.array(SourceReport),
  webhooks: v.array(WebhookReport),
  /** null without an object store; earlier versions do not say. */
  objectStore: v.optional(v.nullable(ObjectStoreReport)),
  /** What the agent copies into buckets; earlier versions do not say. */
  copies: v.optional(v.array(CopiesReport)),
  /** null when this node is in no swarm. */
  peers: v.nullable(PeersReport),
})
export type StatusReport = v.InferOutput<typeof StatusReport>
