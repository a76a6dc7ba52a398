import * as v from 'valibot'
import { HoldersReport, PeerStep, PeersReport } from './peer-report.ts'

/**
 * The answers of the admin API under /api/v1, checked by whoever asks. Times are RFC 3339 in UTC, amounts are bytes,
 * spans are milliseconds; what is not known is null, so that every key is always there.
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
  /** `registry` is null until clients are answered. */
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
      /** What the look at everything stored may read; 0: only `agent verify` looks. */
      bytesPerSecond: bytes,
      state: v.picklist(['resting', 'under-way', 'verifying']),
      /** Rotten blobs in the round under way. */
      found: v.number(),
      lastRound: v.nullable(v.object({ endedAt: time, found: v.number() })),
    }),
  }),
  flights: v.array(FlightReport),
  requests: v.number(),
  served: v.object({ local: bytes, inflight: bytes, peer: bytes, upstream: bytes }),
  /** What clients of the registry API hold now of what is limited. */
  clients: v.object({
    connections: v.number(),
    /** Of those, the ones that speak HTTP/2. */
    sessions: v.number(),
    /** Requests whose answers are under way. */
    answers: v.number(),
    /** Requests that were sent ahead of the answers to those before them. */
    pipelined: v.number(),
    /** Bodies that are being sent. */
    seats: v.number(),
    /** Bodies that wait until they may be sent. */
    waiting: v.number(),
    /** Buffers that hold a part of a body. */
    pieces: v.number(),
    /** Stored blobs that are open for reading. */
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
      /** Why it is left alone; null while it is not. */
      resting: v.nullable(v.string()),
      quota: v.nullable(
        v.object({
          remaining: v.number(),
          limit: v.nullable(v.number()),
          windowSeconds: v.nullable(v.number()),
          /** It was told to a peer, which has told this node. */
          hearsay: v.boolean(),
        }),
      ),
    }),
  ),
  /** null while this node is not one of a swarm. */
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
  /** It is not evicted: it was pinned, or a pinned manifest needs it. */
  pinned: v.boolean(),
})
export type BlobReport = v.InferOutput<typeof BlobReport>

export const ImageReport = v.object({
  repository: v.string(),
  tag: v.string(),
  digest: v.string(),
  checkedAt: time,
  /** Of everything it consists of, what is here: `uniqueBytes` for it alone, `sharedBytes` for other tags too. */
  bytesHere: bytes,
  uniqueBytes: bytes,
  sharedBytes: bytes,
  /** Other tags with which it has anything in common, the first few. */
  sharesWith: v.array(v.string()),
  /** When one of its manifests was; null when none is here. */
  lastUsedAt: v.nullable(time),
  pinned: v.boolean(),
  /** Whole: it can be pulled with upstream away, for `platforms` if it has several. */
  state: v.picklist(['whole', 'partial', 'absent']),
  platforms: v.array(v.string()),
})
export type ImageReport = v.InferOutput<typeof ImageReport>

const PullReport = v.object({
  repository: v.string(),
  /** The tags asked for, the first few; for want of any the first digest. */
  references: v.array(v.string()),
  startedAt: time,
  endedAt: time,
  requests: v.number(),
  /** Of those, the ones whose answer was a refusal or did not get to its end. */
  failed: v.number(),
  /** Given to clients, by where they came from. */
  bytes: v.object({ local: bytes, inflight: bytes, peer: bytes, upstream: bytes }),
})
export type PullReport = v.InferOutput<typeof PullReport>

/** What was asked for last, as far as it is remembered: requests for one repository in close succession are one pull. */
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
  /** So many alike within a second; `at` and `ms` are of the last. */
  times: v.number(),
  bytes,
  /** Where the body came from. */
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
  /** Stored; null while it is under way. Without an error it has reached its readers all the same. */
  kept: v.nullable(v.boolean()),
  obstacle: v.nullable(v.string()),
  error: v.nullable(v.string()),
  attempts: v.array(v.object({ source: v.string(), bytes, ms: span, error: v.nullable(v.string()) })),
  peers: v.array(PeerStep),
})

export const WhyReport = v.object({
  subject: v.string(),
  repository: v.nullable(v.string()),
  tag: v.nullable(v.string()),
  /** What the subject means now; null for a tag that is not known here. */
  digest: v.nullable(v.string()),
  tagRecord: v.nullable(
    v.object({
      checkedAt: time,
      ageMs: span,
      tagTtlMs: span,
      staleIfErrorMs: span,
      /** Fresh: served without asking. Stale: upstream is asked first. Expired: served only when upstream confirms it. */
      state: v.picklist(['fresh', 'stale', 'expired']),
    }),
  ),
  stored: v.nullable(v.omit(BlobReport, ['digest', 'pinned'])),
  flight: v.nullable(FlightReport),
  seenIn: v.array(v.string()),
  /** Who else has it, asked just now; null when nobody could be asked. */
  peers: v.nullable(HoldersReport),
  /** What a manifest consists of; null when it is none, or not here. */
  parts: v.nullable(v.array(PartReport)),
  /** Parts beyond those. */
  partsLeftOut: v.number(),
  requests: v.array(RequestReport),
  flights: v.array(PastFlight),
  next: v.string(),
})
export type WhyReport = v.InferOutput<typeof WhyReport>
export type FlightReport = v.InferOutput<typeof FlightReport>
