import { type Parsed, parsed } from '../../lib/parsed.ts'
import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Descriptor } from '../../oci/manifest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { PartReport, WhyReport } from '../../schemas/why-report.ts'
import type { HostRecords } from '../records/hosts.ts'
import type { FlightRecord, Journal, RequestRecord } from '../records/journal.ts'
import { redact } from '../redact.ts'
import { rfc3339 } from '../rfc3339.ts'
import { blobFacts, platformText, readManifest } from './listing.ts'
import { peerSteps } from './peers.ts'
import { predictRequest } from './predict-request.ts'
import { flightReport } from './status.ts'
import type { NodeView, TagView } from './view.ts'
import { whySubject } from './why-subject.ts'

const MAX_REQUESTS = 10
const MAX_FLIGHTS = 5
const MAX_PARTS = 200

/** Reports all that this node knows about a tag or a digest, and what would happen to a request for it now. */
export async function whyReport(
  view: NodeView,
  journal: Journal,
  hosts: HostRecords,
  text: string,
): Promise<Parsed<WhyReport>> {
  const subject = await whySubject(view, text)
  if (!subject.ok) return subject
  const { repository, tag } = subject.value
  const now = Date.now()
  const record = repository === undefined || tag === undefined ? undefined : await view.tag(repository, tag)
  const digest = subject.value.digest ?? record?.digest
  const facts = digest === undefined ? undefined : await view.facts(digest)
  const flight = digest === undefined ? undefined : view.flight(digest)
  const isHosted = repository !== undefined && (await view.isHosted(repository))
  const tagRecord = record === undefined || record.isHosted === true ? null : tagReport(view, record, now)
  const peers = digest === undefined ? null : ((await view.whoHas(digest)) ?? null)
  const inObjectStore =
    digest === undefined || repository === undefined || isHosted
      ? undefined
      : await view.inObjectStore(repository, digest)
  const references = [tag, digest].filter((reference) => reference !== undefined)
  return parsed({
    subject: text,
    repository: repository === undefined ? null : repositoryKey(repository),
    tag: tag ?? null,
    digest: digest ?? null,
    tagRecord,
    hostedIn: digest === undefined ? [] : (await view.hostedIn(digest)).map(repositoryKey),
    pushedAt: record?.isHosted === true ? rfc3339(record.checkedAt) : null,
    stored: facts === undefined ? null : blobFacts(facts),
    flight: flight === undefined ? null : flightReport(flight),
    seenIn: digest === undefined ? [] : (await view.seenIn(digest)).map(repositoryKey),
    peers,
    objectStore: inObjectStore ?? null,
    ...(digest === undefined || facts?.kind !== 'manifest'
      ? { parts: null, partsLeftOut: 0 }
      : await partsOf(view, digest)),
    requests: journal.requests(references, repository, MAX_REQUESTS).map(requestReport),
    flights: digest === undefined ? [] : journal.flights(digest, MAX_FLIGHTS).map(pastFlight),
    next: predictRequest({
      view,
      hosts,
      ...subject.value,
      tagRecord,
      digest,
      isHosted,
      isStored: facts !== undefined,
      flight,
      owner: peers?.owner,
      objectStore: inObjectStore,
    }),
  })
}

function tagReport(view: NodeView, record: TagView, now: number): NonNullable<WhyReport['tagRecord']> {
  const { tagTtlMs, staleIfErrorMs } = view.freshness(record.repository)
  const ageMs = now - record.checkedAt
  // A record from the future, written by a wrong clock, does not tell its age: the tag counts as stale.
  const { checkedAt, importedAt } = record
  const isFresh = checkedAt !== importedAt && ageMs >= 0 && ageMs < tagTtlMs
  const isServed = importedAt !== undefined || ageMs < tagTtlMs + staleIfErrorMs
  const state = isFresh ? 'fresh' : isServed ? 'stale' : 'expired'
  return {
    checkedAt: rfc3339(checkedAt),
    ...(importedAt === undefined ? {} : { importedAt: rfc3339(importedAt) }),
    ageMs,
    tagTtlMs,
    staleIfErrorMs,
    state,
  }
}

async function partsOf(
  view: NodeView,
  digest: Digest,
): Promise<{ parts: PartReport[] | null; partsLeftOut: number }> {
  const manifest = await readManifest(view, digest)
  if (manifest === undefined) return { parts: null, partsLeftOut: 0 }
  const children = childrenOf(manifest)
  const manifests = new Set(manifest.manifests.map((child) => child.digest))
  const roleOf = (child: Descriptor): PartReport['role'] =>
    child.digest === manifest.config?.digest ? 'config' : manifests.has(child.digest) ? 'manifest' : 'layer'
  const parts: PartReport[] = []
  for (const child of children.slice(0, MAX_PARTS)) {
    const isStored = (await view.facts(child.digest)) !== undefined
    parts.push({
      digest: child.digest,
      role: roleOf(child),
      size: child.size,
      platform: platformText(child.platform) ?? null,
      state: isStored ? 'stored' : view.flight(child.digest) === undefined ? 'missing' : 'in-flight',
    })
  }
  return { parts, partsLeftOut: children.length - parts.length }
}

function requestReport(record: RequestRecord): WhyReport['requests'][number] {
  return {
    at: rfc3339(record.at),
    method: record.method,
    repository: repositoryKey(record.repository),
    reference: record.reference,
    code: record.code,
    ms: record.ms,
    times: record.times,
    bytes: record.bytes,
    source: record.source ?? null,
    cacheStatus: record.cacheStatus ?? null,
    aborted: record.aborted,
    error: record.error === undefined ? null : redact(record.error),
  }
}

function pastFlight(record: FlightRecord): WhyReport['flights'][number] {
  const { ended } = record
  return {
    startedAt: rfc3339(record.startedAt),
    resumedAt: record.resumedAt,
    ms: ended?.ms ?? null,
    size: ended?.size ?? null,
    waiters: ended?.waiters ?? null,
    source: ended?.source ?? null,
    kept: ended?.isStored ?? null,
    obstacle: ended?.passThroughReason === undefined ? null : redact(ended.passThroughReason),
    error: ended?.error === undefined ? null : redact(ended.error.message),
    attempts: record.attempts.map(({ source, bytes, ms, error }) => ({
      source,
      bytes,
      ms,
      error: error === undefined ? null : redact(error.message),
    })),
    peers: peerSteps(record),
  }
}
