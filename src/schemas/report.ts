import * as v from 'valibot'
import { AvailabilityReport, PeerStep, PeersReport } from './peer-report.ts'

/**
 * The responses of the admin API under /api/v1; clients validate them with these schemas. Times are RFC 3339 in UTC, sizes
 * are bytes, durations are milliseconds. An unknown value is null, so every key is always present.
 */
const bytes = v.pipe(v.number(), v.minValue(0))
const span = v.number()
const time = v.pipe(v.string(), v.isoTimestamp())

const FlightReport = v.object({
  digest: v.string(),
  kind: v.picklist(['manifest', 'blob']),
  repository: v.string(),
  startedAt: time,
  position: bytes,
  size: v.nullable(bytes),
  waiters: v.number(),
  source: v.nullable(v.string()),
})

export const StatusReport = v.object({
  version: v.string(),
  startedAt: time,
  /** `registry` is null until the registry API listens. */
  addresses: v.object({ registry: v.nullable(v.string()), admin: v.nullable(v.string()) }),
  data: v.string(),
  ready: v.boolean(),
  reasons: v.array(v.string()),
  store: v.object({
    blobs: v.number(),
    bytes,
    limitBytes: v.nullable(bytes),
    evictedBytes: bytes,
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
  served: v.object({ local: bytes, inflight: bytes, peer: bytes, upstream: bytes }),
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
  fetched: v.object({ peer: bytes, upstream: bytes }),
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
          /** The host reported the quota to a peer, which told this node. */
          hearsay: v.boolean(),
        }),
      ),
    }),
  ),
  /** null when this node is in no swarm. */
  peers: v.nullable(PeersReport),
})
export type StatusReport = v.InferOutput<typeof StatusReport>

export const BlobReport = v.object({
  digest: v.string(),
  size: bytes,
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.nullable(v.string()),
  storedAt: time,
  lastUsedAt: time,
  origin: v.string(),
  /** It is never evicted: it is pinned itself, or a pinned manifest refers to it. */
  pinned: v.boolean(),
})
export type BlobReport = v.InferOutput<typeof BlobReport>

export const ImageReport = v.object({
  repository: v.string(),
  tag: v.string(),
  digest: v.string(),
  checkedAt: time,
  /** The stored bytes of the image: `uniqueBytes` belong to this tag alone, `sharedBytes` to other tags too. */
  bytesHere: bytes,
  uniqueBytes: bytes,
  sharedBytes: bytes,
  /** The first 10 other tags that share a part with this one. */
  sharesWith: v.array(v.string()),
  /** When one of its manifests was last used; null when none is stored. */
  lastUsedAt: v.nullable(time),
  pinned: v.boolean(),
  /** `whole`: it can be pulled without upstream, for these `platforms` if it is an index. */
  state: v.picklist(['whole', 'partial', 'absent']),
  platforms: v.array(v.string()),
})
export type ImageReport = v.InferOutput<typeof ImageReport>

const PullReport = v.object({
  repository: v.string(),
  /** The requested tags, at most 5; without any, the first requested digest. */
  references: v.array(v.string()),
  startedAt: time,
  endedAt: time,
  requests: v.number(),
  /** Requests that got an error, or whose response was cut off. */
  failed: v.number(),
  /** Bytes sent to clients, by source. */
  bytes: v.object({ local: bytes, inflight: bytes, peer: bytes, upstream: bytes }),
})
export type PullReport = v.InferOutput<typeof PullReport>

/** The recorded pulls, newest first. Requests for one repository in close succession are one pull. */
export const PullsReport = v.object({ pulls: v.array(PullReport) })
export type PullsReport = v.InferOutput<typeof PullsReport>

const PartReport = v.object({
  digest: v.string(),
  role: v.picklist(['config', 'layer', 'manifest']),
  size: bytes,
  platform: v.nullable(v.string()),
  state: v.picklist(['stored', 'in-flight', 'missing']),
})
export type PartReport = v.InferOutput<typeof PartReport>

const RequestReport = v.object({
  at: time,
  method: v.string(),
  repository: v.string(),
  reference: v.string(),
  code: v.number(),
  ms: span,
  /** The number of identical requests within a second; `at` and `ms` are those of the last one. */
  times: v.number(),
  bytes,
  /** Where the body came from; null for a response without content. */
  source: v.nullable(v.picklist(['local', 'inflight', 'peer', 'upstream'])),
  cacheStatus: v.nullable(v.string()),
  aborted: v.boolean(),
  error: v.nullable(v.string()),
})

const PastFlight = v.object({
  startedAt: time,
  resumedAt: bytes,
  ms: v.nullable(span),
  size: v.nullable(bytes),
  waiters: v.nullable(v.number()),
  source: v.nullable(v.string()),
  /** Whether the content was stored; null while the flight is in progress. False without `error`: it passed through. */
  kept: v.nullable(v.boolean()),
  /** Why the content was not stored. */
  obstacle: v.nullable(v.string()),
  error: v.nullable(v.string()),
  attempts: v.array(v.object({ source: v.string(), bytes, ms: span, error: v.nullable(v.string()) })),
  peers: v.array(PeerStep),
})

export const WhyReport = v.object({
  subject: v.string(),
  repository: v.nullable(v.string()),
  tag: v.nullable(v.string()),
  /** What the subject refers to now; null for an unknown tag. */
  digest: v.nullable(v.string()),
  tagRecord: v.nullable(
    v.object({
      checkedAt: time,
      ageMs: span,
      tagTtlMs: span,
      staleIfErrorMs: span,
      /** `fresh`: served as it is. `stale`: revalidated, and served if upstream fails. `expired`: served only when revalidated. */
      state: v.picklist(['fresh', 'stale', 'expired']),
    }),
  ),
  stored: v.nullable(v.omit(BlobReport, ['digest', 'pinned'])),
  flight: v.nullable(FlightReport),
  seenIn: v.array(v.string()),
  /** The peers that have it, asked for this report; null when this node has no peers. */
  peers: v.nullable(AvailabilityReport),
  /** The parts of a stored manifest; null for anything else. */
  parts: v.nullable(v.array(PartReport)),
  /** The number of parts that `parts` leaves out. */
  partsLeftOut: v.number(),
  requests: v.array(RequestReport),
  flights: v.array(PastFlight),
  next: v.string(),
})
export type WhyReport = v.InferOutput<typeof WhyReport>
export type FlightReport = v.InferOutput<typeof FlightReport>
