import type { ObjectStoreContent } from '../schemas/object-store-report.ts'
import type { AvailabilityReport, OwnerReport, PeerStep } from '../schemas/peer-report.ts'
import type { PartReport, WhyReport } from '../schemas/why-report.ts'
import { agoText, plural, sizeText, spanText } from './text.ts'

/** One thing that a `WhyReport` says, in words for people. The command line and the web page lay it out. */
export interface WhyFact {
  readonly label: string
  readonly lines: readonly WhyLine[]
}

export interface WhyLine {
  /** May contain control characters from outside. */
  readonly text: string
  /** The digest that the line is about; undefined when it is about none, or names it in `text`. */
  readonly digest?: string
  readonly details?: readonly string[]
  /** The line says that all is well with one of many parts. */
  readonly isMinor?: boolean
}

const SOURCES = {
  local: 'the store',
  inflight: 'a transfer in progress',
  peer: 'peers',
  'object-store': 'the object store',
  upstream: 'upstream',
}

const PART_STATES = {
  stored: 'stored',
  partial: 'stored without all its parts',
  'in-flight': 'in flight',
  missing: 'missing',
}

/** Names what the report is about: the tag in full, or the text that a person has written. */
export function whySubject({ subject, repository, tag }: WhyReport): string {
  return tag === null ? subject : `${repository}:${tag}`
}

export function whyFacts(report: WhyReport, now: number): WhyFact[] {
  const { digest, seenIn, stored, flight, parts, requests, peers, flights, objectStore } = report
  const facts: WhyFact[] = []
  const add = (label: string, ...lines: WhyLine[]): void => {
    facts.push({ label, lines })
  }
  if (report.tag !== null) add('tag', { text: tagText(report, now) })
  if (digest !== null) add('digest', { text: digest })
  if (report.hostedIn.length > 0) add('hosted', { text: report.hostedIn.join(', ') })
  if (seenIn.length > 0) add('seen in', { text: seenIn.join(', ') })
  if (stored !== null) add('stored', { text: storedText(stored, now) })
  else if (flight === null && digest !== null) add('stored', { text: 'no' })
  if (flight !== null) add('transfer', { text: transferText(flight, now) })
  if (report.problems.length > 0) add('problem', ...report.problems.map((text) => ({ text })))
  const corrupt = [
    ...report.corrupt.map((one) => corruptLine(one, now)),
    ...report.quarantined.map((one) => quarantinedLine(one, now)),
  ]
  if (corrupt.length > 0) add('corrupt', ...corrupt)
  if (parts !== null)
    add('parts', { text: partsText(report, parts) }, ...parts.map((part) => partLine(part, report)))
  if (requests.length > 0)
    add('requests', ...requests.map((request) => ({ text: requestText(request, now) })))
  else add('requests', { text: 'none recorded since the agent started' })
  if (peers !== null) {
    add('owner', { text: ownerText(peers.owner) })
    add('peers', { text: peersText(peers) }, ...peers.holders.map((peer) => ({ text: peerText(peer) })))
  }
  if (objectStore) add('bucket', { text: objectStoreText(objectStore) })
  if (flights.length > 0) add('fetched', ...flights.map((record) => flightLine(record, now)))
  add('next', { text: report.next })
  return facts
}

function tagText({ tagRecord, pushedAt }: WhyReport, now: number): string {
  if (pushedAt !== null) return `pushed ${agoText(pushedAt, now)}, hosted on this node`
  if (tagRecord === null) return 'unknown'
  const { checkedAt, importedAt, state, tagTtlMs, staleIfErrorMs } = tagRecord
  if (importedAt !== undefined) {
    const confirmed =
      checkedAt === importedAt ? 'not confirmed by a registry' : `confirmed ${agoText(checkedAt, now)}`
    return `imported ${agoText(importedAt, now)}, ${confirmed} (served until the registry names another digest)`
  }
  const rule = `revalidated after ${spanText(tagTtlMs)}, served for another ${spanText(staleIfErrorMs)} if upstream fails`
  return `${state}, confirmed ${agoText(checkedAt, now)} (${rule})`
}

function storedText(stored: NonNullable<WhyReport['stored']>, now: number): string {
  const { size, kind, mediaType, storedAt, lastUsedAt, origin } = stored
  const type = mediaType === null ? kind : `${kind}, ${mediaType}`
  const came = origin === 'push' ? 'pushed' : 'fetched'
  const from = origin === 'push' ? '' : ` from ${origin}`
  return `${sizeText(size)} (${type}), ${came} ${agoText(storedAt, now)}${from}, last used ${agoText(lastUsedAt, now)}`
}

function transferText(flight: NonNullable<WhyReport['flight']>, now: number): string {
  const { position, size, waiters, source, startedAt } = flight
  const progress = size === null ? sizeText(position) : `${sizeText(position)} of ${sizeText(size)}`
  const from = source === null ? ', no source yet' : ` from ${source}`
  return `${progress}${from}, started ${agoText(startedAt, now)}, ${plural(waiters, 'waiting request')}`
}

/** An index is counted as `agent ls` does: by the platforms that are complete. */
function partsText({ image, partsLeftOut }: WhyReport, parts: readonly PartReport[]): string {
  const stored = parts.filter(({ state }) => state === 'stored').length
  const more = partsLeftOut === 0 ? '' : `, ${partsLeftOut} more not listed`
  if (image?.kind !== 'index') return `${stored} of ${parts.length} stored${more}`
  const platforms = image.platforms.join(', ')
  const state =
    image.state === 'partial'
      ? 'no platform is complete'
      : platforms === ''
        ? 'complete'
        : `complete for ${platforms}`
  return `${state}; ${sizeText(image.bytesHere)} stored, ${stored} of ${plural(parts.length, 'manifest')} with all parts${more}`
}

/** Hardly any node stores all platforms, so the others are no news once one is complete. */
function partLine({ role, platform, size, digest, state }: PartReport, { image }: WhyReport): WhyLine {
  const part = platform === null ? role : `${role} for ${platform}`
  const isMinor =
    state === 'stored' || (state === 'missing' && image?.kind === 'index' && image.state === 'whole')
  return { digest, text: `${part}, ${sizeText(size)}: ${PART_STATES[state]}`, isMinor }
}

function corruptLine({ at, source, found }: WhyReport['corrupt'][number], now: number): WhyLine {
  const from = source === 'disk' ? 'in the store' : `from ${source}`
  return { text: `${agoText(at, now)}: wrong bytes ${from} (${found})` }
}

function quarantinedLine({ at, path, bytes }: WhyReport['quarantined'][number], now: number): WhyLine {
  return { text: `${agoText(at, now)}: ${sizeText(bytes)} moved to ${path}` }
}

function requestText(request: WhyReport['requests'][number], now: number): string {
  const { at, method, reference, repository, code, ms, times, bytes, source } = request
  const from = source === null ? '' : ` from ${SOURCES[source]}`
  const notes = [request.cacheStatus, request.error, request.aborted ? 'the client disconnected' : null]
    .filter((note) => note !== null)
    .join('; ')
  const repeated = times === 1 ? '' : `, ${times} times within a second`
  const line = `${method} ${repository} ${reference.slice(0, 19)}`
  return `${agoText(at, now)}: ${line} → ${code}, ${sizeText(bytes)}${from} in ${spanText(ms)}${repeated}${notes === '' ? '' : ` (${notes})`}`
}

function peersText({ asked, answered, holders }: AvailabilityReport): string {
  const unanswered = answered === asked ? '' : ` (${asked - answered} of ${asked} did not answer)`
  return `${holders.length} of ${answered} have it${unanswered}`
}

function peerText({ name, address, zone, position, whole }: AvailabilityReport['holders'][number]): string {
  const zoneText = zone === null ? '' : `, zone ${zone}`
  return `${name} at ${address}${zoneText}${whole ? '' : `, ${sizeText(position)} so far`}`
}

function flightLine(record: WhyReport['flights'][number], now: number): WhyLine {
  const resumed = record.resumedAt === 0 ? '' : `, resumed at ${sizeText(record.resumedAt)}`
  const failures = record.attempts.flatMap(({ source, bytes, ms, error }) =>
    error === null
      ? []
      : [`${source} delivered ${sizeText(bytes)} in ${spanText(ms)}, then failed: ${error}`],
  )
  return {
    text: `${agoText(record.startedAt, now)}: ${outcomeText(record)}${resumed}`,
    details: [
      ...record.peers.map((step) => `after ${spanText(step.afterMs)} ${stepText(step)}`),
      ...failures,
    ],
  }
}

function outcomeText(record: WhyReport['flights'][number]): string {
  const { ms, size, waiters, source, kept: isStored, obstacle, error } = record
  if (ms === null) return 'in progress'
  if (error !== null) return `failed after ${spanText(ms)}: ${error}`
  const notStored = isStored === false ? `, not stored${obstacle === null ? '' : `: ${obstacle}`}` : ''
  return `${sizeText(size ?? 0)} from ${source ?? 'an earlier transfer'} in ${spanText(ms)} for ${plural(waiters ?? 0, 'request')}${notStored}`
}

function objectStoreText({ name, has, problem }: ObjectStoreContent): string {
  if (has === null) return `${name} could not be asked: ${problem ?? 'no answer'}`
  return `${name} ${has ? 'has it' : 'does not have it'}`
}

function ownerText({ name, self }: OwnerReport): string {
  return self ? 'this node' : name
}

function stepText(step: PeerStep): string {
  if (step.is === 'taken') {
    const end = step.error === null ? '' : `, then failed: ${step.error}`
    return `received ${sizeText(step.bytes)} from ${step.from} in ${spanText(step.ms)}${end}`
  }
  const { owner, from } = step
  const instruction = {
    take: `download from ${from}`,
    fetch: 'fetch from upstream for all peers',
    alone: 'fetch from upstream for this node alone, as no peer can help',
    wait: 'wait',
    end: 'upstream failed the peers that asked it',
    unguided: 'no owner can be reached, so this node asks upstream itself',
  }[step.course]
  return owner === null ? instruction : `instruction from ${ownerText(owner)}: ${instruction}`
}
