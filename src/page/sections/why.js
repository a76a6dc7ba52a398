import { agoText, plural, sizeText, spanText } from '../../observe/text.js'
import { ask } from '../ask.js'
import { byId, make, say, whyLink } from '../dom.js'
import { tell } from '../news.js'

/** @typedef {import('../../schemas/why-report.ts').WhyReport} WhyReport */

const section = byId('why')
const title = byId('why-title')
const facts = byId('why-facts')
const more = byId('why-more')

/** @type {AbortController | undefined} */
let asking

export function hideWhy() {
  asking?.abort()
  section.hidden = true
}

/**
 * Shows what `agent why` tells, and takes who asked there.
 *
 * @param {string} subject
 */
export async function showWhy(subject) {
  asking?.abort()
  const own = new AbortController()
  asking = own
  try {
    const path = `api/v1/why?subject=${encodeURIComponent(subject)}`
    const report = /** @type {WhyReport} */ (await ask(path, own))
    if (own.signal.aborted) return
    show(report)
    tell(`${subject}: ${report.next}`)
  } catch (error) {
    if (own.signal.aborted) return
    say(title, subject)
    const sentence = error instanceof Error ? error.message : 'there is no answer'
    facts.replaceChildren(...fact('No answer', sentence))
    more.replaceChildren()
    tell(`${subject}: ${sentence}`)
  }
  section.hidden = false
  title.focus()
}

/** @param {WhyReport} report */
function show(report) {
  const now = Date.now()
  say(title, report.tag === null ? report.subject : `${report.repository}:${report.tag}`)
  facts.replaceChildren(...identity(report, now), ...presence(report, now), ...fact('Next', report.next))
  more.replaceChildren(...parts(report), ...requests(report, now), ...flights(report, now))
}

/**
 * @param {WhyReport} report
 * @param {number} now
 */
function identity({ tag, tagRecord, digest, seenIn }, now) {
  const found = []
  if (tag !== null && tagRecord === null) found.push(...fact('Tag', 'not known here'))
  if (tagRecord !== null) {
    const { checkedAt, state, tagTtlMs, staleIfErrorMs } = tagRecord
    const rule = `asked about after ${spanText(tagTtlMs)}, served for ${spanText(staleIfErrorMs)} more if upstream fails`
    found.push(...fact('Tag', `${state}, confirmed ${agoText(checkedAt, now)} (${rule})`))
  }
  if (digest !== null) found.push(...fact('Digest', make('span', 'digest', digest)))
  if (seenIn.length > 0) found.push(...fact('Seen in', seenIn.join(', ')))
  return found
}

/**
 * @param {WhyReport} report
 * @param {number} now
 */
function presence({ digest, stored, flight }, now) {
  const found = []
  if (stored !== null) {
    const { size, kind, mediaType, storedAt, lastUsedAt, origin } = stored
    const what = mediaType === null ? kind : `${kind}, ${mediaType}`
    const when = `since ${agoText(storedAt, now)}, from ${origin}, last used ${agoText(lastUsedAt, now)}`
    found.push(...fact('Stored', `${sizeText(size)} (${what}), ${when}`))
  } else if (flight === null && digest !== null) {
    found.push(...fact('Stored', 'no'))
  }
  if (flight !== null) {
    const { position, size, waiters, source, startedAt } = flight
    const so = size === null ? sizeText(position) : `${sizeText(position)} of ${sizeText(size)}`
    const when = `begun ${agoText(startedAt, now)}, for ${plural(waiters, 'client')}`
    found.push(...fact('Coming', `${so} from ${source ?? 'nobody yet'}, ${when}`))
  }
  return found
}

/** @param {WhyReport} report */
function parts({ parts: all, partsLeftOut }) {
  if (all === null) return []
  const here = all.filter(({ state }) => state === 'stored').length
  const beyond = partsLeftOut === 0 ? '' : `, and ${partsLeftOut} more that were not looked at`
  const items = all.map(({ digest, role, size, platform, state }) => {
    const what = platform === null ? role : `${role} for ${platform}`
    return make('li', '', `${state}: ${what}, ${sizeText(size)}, `, whyLink(digest))
  })
  return list(`Parts: ${here} of ${all.length} are here${beyond}`, items)
}

/**
 * @param {WhyReport} report
 * @param {number} now
 */
function requests({ requests: all }, now) {
  const items = all.map((entry) => {
    const { at, method, repository, reference, code, bytes, source, ms, cacheStatus, error, aborted } = entry
    const from = source === null ? '' : ` from ${source}`
    const because = [cacheStatus, error, aborted ? 'the client left' : null].filter((one) => one !== null)
    const why = because.length === 0 ? '' : ` (${because.join('; ')})`
    const what = `${method} ${repository} ${reference.slice(0, 19)}`
    return make(
      'li',
      '',
      `${agoText(at, now)}: ${what} → ${code}, ${sizeText(bytes)}${from} in ${spanText(ms)}${why}`,
    )
  })
  return list(all.length === 0 ? 'No request for it is remembered' : 'Last requests', items)
}

/**
 * @param {WhyReport} report
 * @param {number} now
 */
function flights({ flights: all }, now) {
  const items = all.map((entry) => {
    const { startedAt, ms, size, source, waiters, kept, obstacle, error, resumedAt, attempts } = entry
    const lost = kept === false ? `, passed through, not kept${obstacle === null ? '' : `: ${obstacle}`}` : ''
    const outcome =
      ms === null
        ? 'under way'
        : error === null
          ? `${sizeText(size ?? 0)} from ${source ?? 'an earlier run'} in ${spanText(ms)} for ${plural(waiters ?? 0, 'client')}${lost}`
          : `failed after ${spanText(ms)}: ${error}`
    const from = resumedAt === 0 ? '' : `, going on from ${sizeText(resumedAt)}`
    const failed = attempts
      .filter((attempt) => attempt.error !== null)
      .map((attempt) => `; ${attempt.source} brought ${sizeText(attempt.bytes)}, then: ${attempt.error}`)
    return make('li', '', `${agoText(startedAt, now)}: ${outcome}${from}${failed.join('')}`)
  })
  return items.length === 0 ? [] : list('Fetched', items)
}

/**
 * @param {string} name
 * @param {Node | string} value
 */
function fact(name, value) {
  return [make('dt', '', name), make('dd', '', value)]
}

/**
 * @param {string} heading
 * @param {readonly HTMLElement[]} items
 */
function list(heading, items) {
  const head = make('h3', '', heading)
  return items.length === 0 ? [head] : [head, make('ul', 'entries', ...items)]
}
