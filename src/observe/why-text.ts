import type { HoldersReport, PeerStep } from '../schemas/peer-report.ts'
import type { PartReport, WhyReport } from '../schemas/report.ts'
import { agoText, plain, plural, sizeText, spanText } from './text.ts'

/** A `WhyReport` for people. */
export function whyText(report: WhyReport, now: number): string {
  const lines = [
    plain(report.tag === null ? report.subject : `${report.repository}:${report.tag}`),
    ...identity(report, now),
    ...presence(report, now),
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
  if (tag !== null && tagRecord === null) lines.push('tag:      not known here')
  if (tagRecord !== null) {
    const { checkedAt, state, tagTtlMs, staleIfErrorMs } = tagRecord
    const rule = `asked about after ${spanText(tagTtlMs)}, served for ${spanText(staleIfErrorMs)} more if upstream fails`
    lines.push(`tag:      ${state}, confirmed ${agoText(checkedAt, now)} (${rule})`)
  }
  if (digest !== null) lines.push(`digest:   ${digest}`)
  if (seenIn.length > 0) lines.push(`seen in:  ${seenIn.map(plain).join(', ')}`)
  return lines
}

function presence({ digest, stored, flight }: WhyReport, now: number): string[] {
  const lines: string[] = []
  if (stored !== null) {
    const { size, kind, mediaType, storedAt, lastUsedAt, origin } = stored
    const what = mediaType === null ? kind : `${kind}, ${plain(mediaType)}`
    lines.push(
      `stored:   ${sizeText(size)} (${what}), since ${agoText(storedAt, now)}, from ${plain(origin)}, last used ${agoText(lastUsedAt, now)}`,
    )
  } else if (flight === null && digest !== null) {
    lines.push('stored:   no')
  }
  if (flight !== null) {
    const { position, size, waiters, source, startedAt } = flight
    const so = size === null ? sizeText(position) : `${sizeText(position)} of ${sizeText(size)}`
    const from = source === null ? 'nobody yet' : plain(source)
    lines.push(`coming:   ${so} from ${from}, begun ${agoText(startedAt, now)}, ${plural(waiters, 'waiter')}`)
  }
  return lines
}

function peers({ peers: found }: WhyReport): string[] {
  if (found === null) return []
  const { answered, asked, holders, owner } = found
  const who = plain(ownerText(owner))
  const silent = answered === asked ? '' : `, of ${asked} that were asked`
  const lines = holders.map(({ name, address, zone, position, whole }) => {
    const where = zone === null ? '' : `, zone ${plain(zone)}`
    const much = whole ? '' : `, ${sizeText(position)} so far`
    return `          ${plain(name)} at ${plain(address)}${where}${much}`
  })
  return [`owner:    ${who}`, `peers:    ${holders.length} of ${answered} have it${silent}`, ...lines]
}

function parts({ parts: all, partsLeftOut }: WhyReport): string[] {
  if (all === null) return []
  const missing = all.filter((part) => part.state !== 'stored')
  const here = all.length - missing.length
  const more = partsLeftOut === 0 ? '' : `, and ${partsLeftOut} more that were not looked at`
  return [`parts:    ${here} of ${all.length} are here${more}`, ...missing.map(partLine)]
}

function partLine({ role, platform, size, digest, state }: PartReport): string {
  const what = platform === null ? role : `${role} for ${plain(platform)}`
  return `          ${state === 'missing' ? 'missing' : 'coming '}  ${digest}  ${what}, ${sizeText(size)}`
}

function requests({ requests: all }: WhyReport, now: number): string[] {
  if (all.length === 0)
    return ['requests: none since the agent was started, or too long ago to be remembered']
  return all.map((entry, i) => {
    const { at, method, reference, repository, code, ms, times, bytes, source, cacheStatus, aborted, error } =
      entry
    const from = source === null ? '' : ` from ${source}`
    const why = [cacheStatus, error, aborted ? 'the client left' : null].filter((reason) => reason !== null)
    const because = why.length === 0 ? '' : ` (${plain(why.join('; '))})`
    const often = times === 1 ? '' : `, ${times} times within a second`
    const what = plain(`${method} ${repository} ${reference.slice(0, 19)}`)
    return `${i === 0 ? 'requests:' : '         '} ${agoText(at, now)}: ${what} → ${code}, ${sizeText(bytes)}${from} in ${spanText(ms)}${often}${because}`
  })
}

function flights({ flights: all }: WhyReport, now: number): string[] {
  return all.flatMap((entry, i) => {
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
    } = entry
    const lead = i === 0 ? 'fetched: ' : '         '
    const from = resumedAt === 0 ? '' : `, going on from ${sizeText(resumedAt)}`
    const lost =
      kept === false ? `, passed through, not kept${obstacle === null ? '' : `: ${plain(obstacle)}`}` : ''
    const outcome =
      ms === null
        ? 'under way'
        : error === null
          ? `${sizeText(size ?? 0)} from ${plain(source ?? 'an earlier run')} in ${spanText(ms)} for ${plural(waiters ?? 0, 'waiter')}${lost}`
          : `failed after ${spanText(ms)}: ${plain(error)}`
    const failed = attempts.filter((attempt) => attempt.error !== null)
    return [
      `${lead} ${agoText(startedAt, now)}: ${outcome}${from}`,
      ...steps.map((step) => `            after ${spanText(step.afterMs)} ${plain(stepText(step))}`),
      ...failed.map(
        (attempt) =>
          `            ${plain(attempt.source)} brought ${sizeText(attempt.bytes)} in ${spanText(attempt.ms)}, then: ${plain(attempt.error ?? '')}`,
      ),
    ]
  })
}

function ownerText({ name, self }: HoldersReport['owner']): string {
  return self ? 'this node' : name
}

function stepText(step: PeerStep): string {
  if (step.is === 'taken') {
    const end = step.error === null ? '' : `, then: ${step.error}`
    return `${step.from} had given ${sizeText(step.bytes)} in ${spanText(step.ms)}${end}`
  }
  const { owner, from } = step
  const said = {
    take: `take it from ${from}`,
    fetch: 'ask upstream, for all who want it',
    alone: 'ask upstream, as no peer can help',
    wait: 'wait',
    end: 'upstream failed those who asked it',
    unguided: 'no owner can be reached, so upstream is to be asked',
  }[step.course]
  return owner === null ? said : `${ownerText(owner)} said: ${said}`
}
