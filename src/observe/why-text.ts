import type { OwnerReport, PeerStep } from '../schemas/peer-report.ts'
import type { PartReport, WhyReport } from '../schemas/why-report.ts'
import { agoText, plain, plural, sizeText, spanText } from './text.ts'

const SOURCES = {
  local: 'the store',
  inflight: 'a transfer in progress',
  peer: 'peers',
  upstream: 'upstream',
}

/** A `WhyReport` as the text that `agent why` prints. */
export function whyText(report: WhyReport, now: number): string {
  const lines = [
    plain(report.tag === null ? report.subject : `${report.repository}:${report.tag}`),
    ...identity(report, now),
    ...storage(report, now),
    ...parts(report),
    ...requests(report, now),
    ...peers(report),
    ...flights(report, now),
    `next:     ${plain(report.next)}`,
  ]
  return `${lines.join('\n')}\n`
}

function identity({ tag, tagRecord, digest, seenIn }: WhyReport, now: number): string[] {
  const lines: string[] = []
  if (tag !== null && tagRecord === null) lines.push('tag:      unknown')
  if (tagRecord !== null) {
    const { checkedAt, state, tagTtlMs, staleIfErrorMs } = tagRecord
    const rule = `revalidated after ${spanText(tagTtlMs)}, served for another ${spanText(staleIfErrorMs)} if upstream fails`
    lines.push(`tag:      ${state}, confirmed ${agoText(checkedAt, now)} (${rule})`)
  }
  if (digest !== null) lines.push(`digest:   ${digest}`)
  if (seenIn.length > 0) lines.push(`seen in:  ${seenIn.map(plain).join(', ')}`)
  return lines
}

function storage({ digest, stored, flight }: WhyReport, now: number): string[] {
  const lines: string[] = []
  if (stored !== null) {
    const { size, kind, mediaType, storedAt, lastUsedAt, origin } = stored
    const what = mediaType === null ? kind : `${kind}, ${plain(mediaType)}`
    lines.push(
      `stored:   ${sizeText(size)} (${what}), fetched ${agoText(storedAt, now)} from ${plain(origin)}, last used ${agoText(lastUsedAt, now)}`,
    )
  } else if (flight === null && digest !== null) {
    lines.push('stored:   no')
  }
  if (flight !== null) {
    const { position, size, waiters, source, startedAt } = flight
    const progress = size === null ? sizeText(position) : `${sizeText(position)} of ${sizeText(size)}`
    const from = source === null ? ', no source yet' : ` from ${plain(source)}`
    const requests = plural(waiters, 'waiting request')
    lines.push(`transfer: ${progress}${from}, started ${agoText(startedAt, now)}, ${requests}`)
  }
  return lines
}

function peers({ peers: found }: WhyReport): string[] {
  if (found === null) return []
  const { answered, asked, holders, owner } = found
  const unanswered = answered === asked ? '' : ` (${asked - answered} of ${asked} did not answer)`
  const lines = holders.map(({ name, address, zone, position, whole }) => {
    const zoneText = zone === null ? '' : `, zone ${plain(zone)}`
    const amount = whole ? '' : `, ${sizeText(position)} so far`
    return `          ${plain(name)} at ${plain(address)}${zoneText}${amount}`
  })
  return [
    `owner:    ${plain(ownerText(owner))}`,
    `peers:    ${holders.length} of ${answered} have it${unanswered}`,
    ...lines,
  ]
}

function parts({ parts: all, partsLeftOut }: WhyReport): string[] {
  if (all === null) return []
  const missing = all.filter((part) => part.state !== 'stored')
  const storedCount = all.length - missing.length
  const more = partsLeftOut === 0 ? '' : `, ${partsLeftOut} more not checked`
  return [`parts:    ${storedCount} of ${all.length} stored${more}`, ...missing.map(partLine)]
}

function partLine({ role, platform, size, digest, state }: PartReport): string {
  const what = platform === null ? role : `${role} for ${plain(platform)}`
  return `          ${state === 'missing' ? 'missing  ' : 'in flight'}  ${digest}  ${what}, ${sizeText(size)}`
}

function requests({ requests: all }: WhyReport, now: number): string[] {
  if (all.length === 0) return ['requests: none recorded since the agent started']
  return all.map((record, i) => {
    const { at, method, reference, repository, code, ms, times, bytes, source, cacheStatus, aborted, error } =
      record
    const from = source === null ? '' : ` from ${SOURCES[source]}`
    const why = [cacheStatus, error, aborted ? 'the client disconnected' : null].filter(
      (reason) => reason !== null,
    )
    const reasons = why.length === 0 ? '' : ` (${plain(why.join('; '))})`
    const repeated = times === 1 ? '' : `, ${times} times within a second`
    const what = plain(`${method} ${repository} ${reference.slice(0, 19)}`)
    return `${i === 0 ? 'requests:' : '         '} ${agoText(at, now)}: ${what} → ${code}, ${sizeText(bytes)}${from} in ${spanText(ms)}${repeated}${reasons}`
  })
}

function flights({ flights: all }: WhyReport, now: number): string[] {
  return all.flatMap((record, i) => {
    const {
      startedAt,
      ms,
      size,
      waiters,
      source,
      kept,
      obstacle,
      error,
      attempts,
      resumedAt,
      peers: steps,
    } = record
    const label = i === 0 ? 'fetched: ' : '         '
    const resumed = resumedAt === 0 ? '' : `, resumed at ${sizeText(resumedAt)}`
    const notStored = kept === false ? `, not stored${obstacle === null ? '' : `: ${plain(obstacle)}`}` : ''
    const outcome =
      ms === null
        ? 'in progress'
        : error === null
          ? `${sizeText(size ?? 0)} from ${plain(source ?? 'an earlier transfer')} in ${spanText(ms)} for ${plural(waiters ?? 0, 'request')}${notStored}`
          : `failed after ${spanText(ms)}: ${plain(error)}`
    const failed = attempts.filter((attempt) => attempt.error !== null)
    return [
      `${label} ${agoText(startedAt, now)}: ${outcome}${resumed}`,
      ...steps.map((step) => `            after ${spanText(step.afterMs)} ${plain(stepText(step))}`),
      ...failed.map(
        (attempt) =>
          `            ${plain(attempt.source)} delivered ${sizeText(attempt.bytes)} in ${spanText(attempt.ms)}, then failed: ${plain(attempt.error ?? '')}`,
      ),
    ]
  })
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
