import { plural, sizeText, spanText } from '../../observe/text.js'
import { fetchJson } from '../api.js'
import { createColumnChart } from '../column-chart.js'
import { byId, createElement, setText } from '../dom.js'
import { totalBytes } from './byte-sources.js'

/** @typedef {import('../../schemas/history-report.ts').HistoryReport} HistoryReport */
/** @typedef {import('../../schemas/history-report.ts').HistoryScale} HistoryScale */
/** @typedef {import('../../schemas/history-report.ts').HistoryPoint} HistoryPoint */

const PAUSE_MS = 5000
const SCALES = /** @type {const} */ ({
  hour: { columns: 60, name: 'the last hour' },
  day: { columns: 96, name: 'the last day' },
})

const choice = /** @type {HTMLSelectElement} */ (byId('history-scale'))
const none = byId('history-none')
const charts = byId('history-charts')
const rows = byId('history-rows')
const served = createColumnChart(charts, 'Served bytes by source')
const hits = createColumnChart(charts, 'Answered from the store')
const manifests = createColumnChart(charts, '95 % of manifests took at most')
const store = createColumnChart(charts, 'Size of the store')

/** @type {HistoryReport | undefined} */
let report
let nextFetchAt = 0

choice.addEventListener('change', show)

/**
 * Fetches the history again when the last one is a few seconds old.
 *
 * @param {{ signal: AbortSignal }} options
 */
export async function showHistory({ signal }) {
  if (performance.now() < nextFetchAt) return
  nextFetchAt = performance.now() + PAUSE_MS
  report = /** @type {HistoryReport} */ (await fetchJson('api/v1/history', { signal }))
  show()
}

function show() {
  if (report === undefined) return
  const scale = choice.value === 'day' ? 'day' : 'hour'
  const { columns, name } = SCALES[scale]
  const points = pointsOf(report[scale], columns)
  const known = points.flatMap((point) => point ?? [])
  const isEmpty = known.every(({ requests, failed }) => requests + failed === 0)
  none.hidden = !isEmpty
  charts.hidden = isEmpty
  if (isEmpty) setText(none, `No requests in ${name}.`)
  showServed(points, name)
  showHits(points, name)
  showManifests(points, name)
  showStore(points, known)
  showRows(known, report[scale].everyMs)
}

/**
 * Gives a point for each of the last spans of time, or undefined where nothing happened.
 *
 * @param {HistoryScale} scale
 * @param {number} columns
 */
function pointsOf({ everyMs, points }, columns) {
  const last = Math.floor(Date.now() / everyMs)
  const bySpan = new Map(points.map((point) => [Date.parse(point.at) / everyMs, point]))
  return Array.from({ length: columns }, (_, i) => bySpan.get(last - columns + 1 + i))
}

/**
 * @param {readonly (HistoryPoint | undefined)[]} points
 * @param {string} name
 */
function showServed(points, name) {
  const most = Math.max(0, ...points.map((point) => (point === undefined ? 0 : totalBytes(point.served))))
  const total = points.reduce((sum, point) => sum + (point === undefined ? 0 : totalBytes(point.served)), 0)
  served.show(
    points.map((point) =>
      point === undefined
        ? []
        : Object.entries(point.served).map(([className, value]) => ({ className, value })),
    ),
    { most, mostText: sizeText(most), sentence: `${sizeText(total)} in ${name}` },
  )
}

/**
 * @param {readonly (HistoryPoint | undefined)[]} points
 * @param {string} name
 */
function showHits(points, name) {
  const requests = points.reduce((sum, point) => sum + (point?.requests ?? 0), 0)
  const answered = points.reduce((sum, point) => sum + (point?.hits ?? 0), 0)
  const percent = requests === 0 ? 0 : Math.floor((100 * answered) / requests)
  hits.show(
    points.map((point) =>
      point === undefined || point.requests === 0
        ? []
        : [{ className: 'local', value: point.hits / point.requests }],
    ),
    { most: 1, mostText: '100 %', sentence: `${percent} % of ${plural(requests, 'request')} in ${name}` },
  )
}

/**
 * @param {readonly (HistoryPoint | undefined)[]} points
 * @param {string} name
 */
function showManifests(points, name) {
  const most = Math.max(0, ...points.map((point) => point?.manifestMs?.p95 ?? 0))
  manifests.show(
    points.map((point) =>
      point?.manifestMs == null ? [] : [{ className: 'neutral', value: point.manifestMs.p95 }],
    ),
    { most, mostText: spanText(most), sentence: `at most ${spanText(most)} in ${name}` },
  )
}

/**
 * The size of the store stays what it was until the next point.
 *
 * @param {readonly (HistoryPoint | undefined)[]} points
 * @param {readonly HistoryPoint[]} known
 */
function showStore(points, known) {
  const most = Math.max(0, ...known.map(({ storeBytes }) => storeBytes))
  let size = 0
  store.show(
    points.map((point) => {
      size = point?.storeBytes ?? size
      return [{ className: 'neutral', value: size }]
    }),
    { most, mostText: sizeText(most), sentence: `${sizeText(known.at(-1)?.storeBytes ?? 0)} now` },
  )
}

/**
 * @param {readonly HistoryPoint[]} points
 * @param {number} everyMs
 */
function showRows(points, everyMs) {
  const busy = points.filter(({ requests, failed }) => requests + failed > 0).toReversed()
  rows.replaceChildren(
    ...busy.map((point) => {
      const { at, served: bytes, requests, hits: answered, failed, manifestMs } = point
      const time = createElement('th', '', `${new Date(at).toLocaleTimeString()} (${spanText(everyMs)})`)
      time.scope = 'row'
      const texts = [
        sizeText(totalBytes(bytes)),
        sizeText(bytes.upstream),
        sizeText(bytes.peer),
        String(requests),
        String(answered),
        String(failed),
        manifestMs === null ? '' : spanText(manifestMs.p95),
      ]
      return createElement('tr', '', time, ...texts.map((text) => createElement('td', 'number', text)))
    }),
  )
}
