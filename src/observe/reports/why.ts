import { type Parsed, parsed } from '../../lib/parsed.ts'
import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Descriptor } from '../../oci/manifest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { PartReport, WhyReport } from '../../schemas/report.ts'
import type { Hosts } from '../records/hosts.ts'
import type { FlightEntry, Journal, RequestEntry } from '../records/journal.ts'
import { scrub } from '../redact.ts'
import { blobFacts, platformText, readManifest, rfc3339 } from './listing.ts'
import { foretell } from './next.ts'
import { holdersReport, peerSteps } from './peers.ts'
import { flightReport } from './status.ts'
import { findSubject } from './subject.ts'
import type { NodeView, TagView } from './view.ts'

const MOST_REQUESTS = 10
const MOST_FLIGHTS = 5
const MOST_PARTS = 200

/** Everything this node knows about a tag or a digest, and what it would do if it were asked for it now. */
export async function whyReport(
  view: NodeView,
  journal: Journal,
  hosts: Hosts,
  text: string,
): Promise<Parsed<WhyReport>> {
  const subject = await findSubject(view, text, view.defaultNamespace)
  if (!subject.ok) return subject
  const { repository, tag } = subject.value
  const now = Date.now()
  const record = repository === undefined || tag === undefined ? undefined : await view.tag(repository, tag)
  const digest = subject.value.digest ?? record?.digest
  const facts = digest === undefined ? undefined : await view.facts(digest)
  const flight = digest === undefined ? undefined : view.flight(digest)
  const tagRecord = record === undefined ? null : tagReport(view, record, now)
  const peers = digest === undefined ? null : await holdersReport(view, digest)
  const references = [tag, digest].filter((reference) => reference !== undefined)
  return parsed({
    subject: text,
    repository: repository === undefined ? null : repositoryKey(repository),
    tag: tag ?? null,
    digest: digest ?? null,
    tagRecord,
    stored: facts === undefined ? null : blobFacts(facts),
    flight: flight === undefined ? null : flightReport(flight),
    seenIn: digest === undefined ? [] : (await view.seenIn(digest)).map(repositoryKey),
    peers,
    ...(digest === undefined || facts?.kind !== 'manifest'
      ? { parts: null, partsLeftOut: 0 }
      : await partsOf(view, digest)),
    requests: journal.requests(references, repository, MOST_REQUESTS).map(requestReport),
    flights: digest === undefined ? [] : journal.flights(digest, MOST_FLIGHTS).map(pastFlight),
    next: foretell({
      view,
      hosts,
      ...subject.value,
      tagRecord,
      digest,
      stored: facts !== undefined,
      flight,
      owner: peers?.owner,
    }),
  })
}

function tagReport(view: NodeView, record: TagView, now: number): NonNullable<WhyReport['tagRecord']> {
  const { tagTtlMs, staleIfErrorMs } = view.freshness(record.repository)
  const ageMs = now - record.checkedAt
  // A record from the future says nothing about how old it is: it is asked about.
  const fresh = ageMs >= 0 && ageMs < tagTtlMs
  const state = fresh ? 'fresh' : ageMs < tagTtlMs + staleIfErrorMs ? 'stale' : 'expired'
  return { checkedAt: rfc3339(record.checkedAt), ageMs, tagTtlMs, staleIfErrorMs, state }
}

async function partsOf(
  view: NodeView,
  digest: Digest,
): Promise<{ parts: PartReport[] | null; partsLeftOut: number }> {
  const manifest = await readManifest(view, digest)
  if (manifest === undefined) return { parts: null, partsLeftOut: 0 }
  const children = childrenOf(manifest)
  const inside = new Set(manifest.manifests.map((child) => child.digest))
  const roleOf = (child: Descriptor): PartReport['role'] =>
    child.digest === manifest.config?.digest ? 'config' : inside.has(child.digest) ? 'manifest' : 'layer'
  const parts: PartReport[] = []
  for (const child of children.slice(0, MOST_PARTS)) {
    const stored = (await view.facts(child.digest)) !== undefined
    parts.push({
      digest: child.digest,
      role: roleOf(child),
      size: child.size,
      platform: platformText(child.platform) ?? null,
      state: stored ? 'stored' : view.flight(child.digest) === undefined ? 'missing' : 'in-flight',
    })
  }
  return { parts, partsLeftOut: children.length - parts.length }
}

function requestReport(entry: RequestEntry): WhyReport['requests'][number] {
  return {
    at: rfc3339(entry.at),
    method: entry.method,
    repository: repositoryKey(entry.repository),
    reference: entry.reference,
    code: entry.code,
    ms: entry.ms,
    times: entry.times,
    bytes: entry.bytes,
    source: entry.source ?? null,
    cacheStatus: entry.cacheStatus ?? null,
    aborted: entry.aborted,
    error: entry.error === undefined ? null : scrub(entry.error),
  }
}

function pastFlight(entry: FlightEntry): WhyReport['flights'][number] {
  const { ended } = entry
  return {
    startedAt: rfc3339(entry.startedAt),
    resumedAt: entry.resumedAt,
    ms: ended?.ms ?? null,
    size: ended?.size ?? null,
    waiters: ended?.waiters ?? null,
    source: ended?.source ?? null,
    kept: ended?.kept ?? null,
    obstacle: ended?.obstacle === undefined ? null : scrub(ended.obstacle),
    error: ended?.error === undefined ? null : scrub(ended.error.message),
    attempts: entry.attempts.map(({ source, bytes, ms, error }) => ({
      source,
      bytes,
      ms,
      error: error === undefined ? null : scrub(error.message),
    })),
    peers: peerSteps(entry),
  }
}
