import { plural, sizeText, spanText } from '../../observe/text.js'
import { createElement, createListUpdater, setText, shortenDigest } from '../dom.js'

/** @typedef {import('../../schemas/pull-report.ts').PullReport} PullReport */
/** @typedef {import('../../schemas/pull-report.ts').PullPartReport} Part */

const SOURCES = /** @type {const} */ ({
  local: 'the store',
  inflight: 'a transfer in progress',
  peer: 'peers',
  'object-store': 'the object store',
  upstream: 'upstream',
})

/**
 * Creates the requests of one pull as bars on a common time line. It is filled only while it is open, because a pull may have
 * dozens of requests.
 */
export function createWaterfall() {
  const summary = createElement('summary', '', 'Requests')
  const list = createElement('ol', 'waterfall')
  const element = createElement('details', '', summary, list)
  const updateList = createListUpdater(list, ({ part }) => `${part.startedAt} ${part.reference}`, createRow)
  /** @type {PullReport | undefined} */
  let pull
  const fill = () => {
    if (pull !== undefined && element.open) updateList(rowsOf(pull))
  }
  element.addEventListener('toggle', fill)
  return {
    element,
    /** @param {PullReport} next */
    update(next) {
      pull = next
      setText(summary, plural(next.parts.length, 'request'))
      fill()
    },
  }
}

/**
 * @param {PullReport} pull
 * @returns {{ part: Part, start: number, width: number }[]}
 */
function rowsOf({ parts }) {
  const startOf = (/** @type {Part} */ part) => Date.parse(part.startedAt)
  const first = Math.min(...parts.map(startOf))
  const last = Math.max(...parts.map((part) => startOf(part) + part.ms))
  const span = Math.max(1, last - first)
  return parts.map((part) => ({
    part,
    start: (100 * (startOf(part) - first)) / span,
    width: (100 * part.ms) / span,
  }))
}

function createRow() {
  const name = createElement('span')
  const bar = createElement('span')
  const track = createElement('span', 'track', bar)
  track.ariaHidden = 'true'
  const facts = createElement('span', 'muted')
  return {
    element: createElement('li', '', name, track, facts),
    /** @param {{ part: Part, start: number, width: number }} row */
    update({ part, start, width }) {
      setText(name, `${part.route} ${shortenDigest(part.reference)}`)
      setText(facts, factsText(part))
      facts.className = part.error === null && part.code < 400 ? 'muted' : 'bad'
      bar.className = part.source ?? 'neutral'
      bar.style.marginInlineStart = `${start}%`
      bar.style.width = `${width}%`
    },
  }
}

/** @param {Part} part */
function factsText({ bytes, code, error, from, method, ms, source, times }) {
  const repeated = times === 1 ? '' : `${times} ×, `
  if (error !== null || code >= 400) return `${repeated}${error ?? `status ${code}`}, after ${spanText(ms)}`
  const who =
    from.length === 0 ? (source === null ? '' : ` from ${SOURCES[source]}`) : ` from ${from.join(' and ')}`
  const what = method === 'HEAD' || source === null ? `${method}, status ${code}` : `${sizeText(bytes)}${who}`
  return `${repeated}${what}, ${spanText(ms)}`
}
