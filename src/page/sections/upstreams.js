import { agoText, spanText } from '../../observe/text.js'
import { byId, createListUpdater, createRow } from '../dom.js'

/** @typedef {import('../../schemas/status-report.ts').StatusReport['upstreams'][number]} Upstream */

const none = byId('upstreams-none')
const table = byId('upstreams-table')
const updateTable = createListUpdater(byId('upstreams'), ({ host }) => host, createUpstreamRow)

/** @param {readonly Upstream[]} upstreams */
export function showUpstreams(upstreams) {
  updateTable(upstreams)
  none.hidden = upstreams.length > 0
  table.hidden = upstreams.length === 0
}

/** @param {Upstream} upstream */
function createUpstreamRow({ host }) {
  const { element, setTexts, cells } = createRow(host, ['number', 'number', '', '', ''])
  return {
    element,
    /** @param {Upstream} upstream */
    update({ requests, failures, lastAt, lastStatus, quota, resting }) {
      setTexts([
        String(requests),
        String(failures),
        lastAt === null ? '' : `${lastStatus ?? 'no response'}, ${agoText(lastAt, Date.now())}`,
        quota === null ? 'unknown' : quotaText(quota),
        resting === null ? 'ok' : `paused: ${resting}`,
      ])
      const hasFailed = lastAt !== null && (lastStatus === null || lastStatus >= 500 || lastStatus === 429)
      setClass(cells[2], hasFailed ? 'bad' : '')
      setClass(cells[4], resting === null ? 'good' : 'bad')
    },
  }
}

/**
 * @param {HTMLElement | undefined} cell
 * @param {string} className
 */
function setClass(cell, className) {
  if (cell !== undefined && cell.className !== className) cell.className = className
}

/** @param {NonNullable<Upstream['quota']>} quota */
function quotaText({ remaining, limit, windowSeconds }) {
  const of = limit === null ? '' : ` of ${limit}`
  const window = windowSeconds === null ? '' : ` per ${spanText(1000 * windowSeconds)}`
  return `${remaining}${of}${window}`
}
