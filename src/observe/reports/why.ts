import { type Parsed, parsed } from '../../lib/parsed.ts'
import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Descriptor } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { PartReport, WhyReport } from '../../schemas/why-report.ts'
import type { FileProblems } from '../records/file-problems.ts'
import type { HostRecords } from '../records/hosts.ts'
import type { CorruptRecord, FlightRecord, Journal, RequestRecord } from '../records/journal.ts'
import { redact } from '../redact.ts'
import { rfc3339 } from '../rfc3339.ts'
import { inspectImage, platformText, readManifest } from './image-inspection.ts'
import { blobFacts } from './listing.ts'
import { peerSteps } from './peers.ts'
import { predictRequest } from './predict-request.ts'
import { flightReport } from './status.ts'
import type { NodeView, QuarantinedView, TagView } from './view.ts'
import { whySubject } from './why-subject.ts'

const MAX_REQUESTS = 10
const MAX_FLIGHTS = 5
const MAX_PARTS = 200
const MAX_CORRUPT = 5
/** A digest may be seen in many repositories, and each has files with credentials. */
const MAX_REPOSITORIES = 10

export interface WhyRecords {
  readonly journal: Journal
  readonly hosts: HostRecords
  readonly fileProblems: FileProblems
}

/** Reports all that this node knows about a tag or a digest, and what would happen to a request for it now. */
export async function whyReport(
  view: NodeView,
  { journal, hosts, fileProblems }: WhyRecords,
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
  const tagRecord = record === undefined || isHosted ? null : tagReport(view, record, now)
  const peers = digest === undefined ? null : ((await view.whoHas(digest)) ?? null)
  const inObjectStore =
    digest === undefined || repository === undefined || (isHosted && view.hostedBucket === undefined)
      ? undefined
      : await view.inObjectStore(repository, digest)
  const seenIn = digest === undefined ? [] : await view.seenIn(digest)
  const files = await registryFiles(view, repository === undefined ? seenIn : [repository])
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
    seenIn: seenIn.map(repositoryKey),
    problems: [...fileProblems.of(files)],
    corrupt: digest === undefined ? [] : journal.corrupt(digest, MAX_CORRUPT).map(corruptReport),
    quarantined: digest === undefined ? [] : (await view.quarantined(digest)).map(quarantinedReport),
    peers,
    objectStore: inObjectStore ?? null,
    ...(digest === undefined || facts?.kind !== 'manifest'
      ? { image: null, parts: null, partsLeftOut: 0 }
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
): Promise<Pick<WhyReport, 'image' | 'parts' | 'partsLeftOut'>> {
  const manifest = await readManifest(view, digest)
  if (manifest === undefined) return { image: null, parts: null, partsLeftOut: 0 }
  const stored = new Map<Digest, number>()
  const { state, platforms, complete } = await inspectImage(view, digest, (part) => {
    stored.set(part.digest, part.size)
  })
  const children = childrenOf(manifest)
  const manifests = new Set(manifest.manifests.map((child) => child.digest))
  const roleOf = (child: Descriptor): PartReport['role'] =>
    child.digest === manifest.config?.digest ? 'config' : manifests.has(child.digest) ? 'manifest' : 'layer'
  const stateOf = (child: Descriptor): PartReport['state'] => {
    if (stored.has(child.digest))
      return manifests.has(child.digest) && !complete.has(child.digest) ? 'partial' : 'stored'
    return view.flight(child.digest) === undefined ? 'missing' : 'in-flight'
  }
  const parts = children.slice(0, MAX_PARTS).map((child) => ({
    digest: child.digest,
    role: roleOf(child),
    size: child.size,
    platform: platformText(child.platform) ?? null,
    state: stateOf(child),
  }))
  const image = {
    kind: manifest.kind,
    state: state === 'whole' ? state : ('partial' as const),
    platforms,
    bytesHere: [...stored.values()].reduce((sum, size) => sum + size, 0),
  }
  return { image, parts, partsLeftOut: children.length - parts.length }
}

/** The files with credentials and certificates for these repositories. */
async function registryFiles(
  view: NodeView,
  repositories: readonly Repository[],
): Promise<readonly string[]> {
  const files = repositories.slice(0, MAX_REPOSITORIES).map((repository) => view.registryFiles(repository))
  return (await Promise.all(files)).flat()
}

function corruptReport({ at, source, found }: CorruptRecord): WhyReport['corrupt'][number] {
  return { at: rfc3339(at), source, found: redact(found) }
}

function quarantinedReport({ at, path, bytes }: QuarantinedView): WhyReport['quarantined'][number] {
  return { at: rfc3339(at), path, bytes }
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
