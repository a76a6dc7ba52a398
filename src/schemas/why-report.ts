import * as v from 'valibot'
import { BlobReport } from './content-report.ts'
import { ObjectStoreContent } from './object-store-report.ts'
import { AvailabilityReport, PeerStep } from './peer-report.ts'
import { FlightReport } from './status-report.ts'
import { bytes, span, time } from './units.ts'

const PartReport = v.object({
  digest: v.string(),
  role: v.picklist(['config', 'layer', 'manifest']),
  size: bytes,
  platform: v.nullable(v.string()),
  /** `partial`: a manifest in an index that is stored without some of its parts. */
  state: v.picklist(['stored', 'partial', 'in-flight', 'missing']),
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
  source: v.nullable(v.picklist(['local', 'inflight', 'peer', 'object-store', 'upstream'])),
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
      /** When an import set the tag, if one did. Equal to `checkedAt` until upstream has confirmed it. */
      importedAt: v.optional(time),
      ageMs: span,
      tagTtlMs: span,
      staleIfErrorMs: span,
      /** `fresh`: served as it is. `stale`: revalidated, and served if upstream fails. `expired`: served only when revalidated. An imported tag is never `expired`. */
      state: v.picklist(['fresh', 'stale', 'expired']),
    }),
  ),
  /** Hosted repositories to which it belongs. */
  hostedIn: v.array(v.string()),
  /** When the tag was pushed; null for a tag that is not hosted. */
  pushedAt: v.nullable(time),
  stored: v.nullable(v.omit(BlobReport, ['digest', 'pinned'])),
  flight: v.nullable(FlightReport),
  seenIn: v.array(v.string()),
  /** The peers that have it, asked for this report; null when this node has no peers. */
  peers: v.nullable(AvailabilityReport),
  /** What the object store has of it; null when it is not asked for the repository. Earlier versions do not say. */
  objectStore: v.optional(v.nullable(ObjectStoreContent)),
  /** What is wrong with the credentials or certificates of its registry, each a sentence. */
  problems: v.array(v.string()),
  /** Bytes that were to have this digest and did not, since the agent started; newest first. */
  corrupt: v.array(v.object({ at: time, source: v.string(), found: v.string() })),
  /** Files with such bytes that lie in the quarantine, newest first. */
  quarantined: v.array(v.object({ at: time, path: v.string(), bytes })),
  /** What of an image is stored, counted as in the list of images; null for anything else. */
  image: v.nullable(
    v.object({
      kind: v.picklist(['image', 'index']),
      /** An index is whole when at least one of its platforms is complete. */
      state: v.picklist(['whole', 'partial']),
      /** The complete platforms of an index. */
      platforms: v.array(v.string()),
      bytesHere: bytes,
    }),
  ),
  /** The parts of a stored manifest; null for anything else. */
  parts: v.nullable(v.array(PartReport)),
  /** The number of parts that `parts` leaves out. */
  partsLeftOut: v.number(),
  requests: v.array(RequestReport),
  flights: v.array(PastFlight),
  next: v.string(),
})
export type WhyReport = v.InferOutput<typeof WhyReport>
