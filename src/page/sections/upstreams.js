import { agoText, spanText } from '../../observe/text.js'
import { byId, keeper, tableRow } from '../dom.js'

/** @typedef {import('../../schemas/status-report.ts').StatusReport['upstreams'][number]} Upstream */

const none = byId('upstreams-none')
const table = byId('upstreams-table')
const show = keeper(byId('upstreams'), ({ host }) => host, begin)

/** @param {readonly Upstream[]} upstreams */
export function showUpstreams(upstreams) {
  show(upstreams)
  none.hidden = upstreams.length > 0
  table.hidden = upstreams.length === 0
}

/** @param {Upstream} upstream */
function begin({ host }) {
  const { element, fill } = tableRow(host, ['number', 'number', '', '', ''])
  return {
    element,
    /** @param {Upstream} now */
    update({ requests, failures, lastAt, lastStatus, quota, resting }) {
      fill([
        String(requests),
        String(failures),
        lastAt === null ? '' : `${lastStatus ?? 'none'}, ${agoText(lastAt, Date.now())}`,
        quota === null ? 'not told' : quotaText(quota),
        resting === null ? 'asked' : `left alone: ${resting}`,
      ])
    },
  }
}

/** @param {NonNullable<Upstream['quota']>} quota */
function quotaText({ remaining, limit, windowSeconds }) {
  const of = limit === null ? '' : ` of ${limit}`
  const span = windowSeconds === null ? '' : ` in ${spanText(1000 * windowSeconds)}`
  return `${remaining}${of}${span}`
}
