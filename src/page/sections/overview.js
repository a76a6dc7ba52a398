import { copiesText } from '../../observe/copies-text.js'
import { objectStoreReadsText, objectStoreUploadsText } from '../../observe/object-store-text.js'
import { agoText, plural, savedShareText, sizeText } from '../../observe/text.js'
import { byId, createElement, setOptionalText, setText } from '../dom.js'
import { createSourcesBar, createSourcesLegend } from './byte-sources.js'

/** @typedef {import('../../schemas/status-report.ts').StatusReport} StatusReport */

const cards = byId('overview')
const cached = createCard('Cached')
const saved = createCard('Saved')
const fetched = createCard('Fetched')
const objectStore = createCard('Object store')
const copies = createCard('Copies')
const requests = createCard('Requests')
const warm = createCard('Images kept warm')
const scrub = createCard('Scrub')
const agent = createCard('Agent')
const usage = createElement('progress')
usage.setAttribute('aria-label', 'Cache usage')
cached.element.append(createElement('dd', '', usage))
const warmProgress = createElement('progress')
warmProgress.setAttribute('aria-label', 'Images kept warm that are stored')
warm.element.append(createElement('dd', '', warmProgress))
const updateBar = createSourcesBar(byId('served-bar'))
const updateLegend = createSourcesLegend(byId('served'))

/** @param {StatusReport} status */
export function showOverview(status) {
  const { served, startedAt, version } = status
  const now = Date.now()
  showStore(status.store)
  saved.show(...savedTexts(status))
  fetched.show(
    sizeText(status.fetched.upstream),
    `from upstream; ${sizeText(status.fetched.peer)} from peers${fromObjectStore(status.fetched)}`,
  )
  showObjectStore(status.objectStore ?? null)
  showCopies(status.copies ?? [])
  requests.show(String(status.requests), requestsText(status, now))
  showWarm(status.warm ?? { stored: 0, missing: 0 })
  scrub.show(...scrubTexts(status.store.scrub, now))
  agent.show(version, `started ${agoText(startedAt, now)}, data in ${status.data}`)
  updateBar(served)
  updateLegend(served)
}

/** @param {StatusReport['fetched']} fetched */
function fromObjectStore({ objectStore }) {
  return objectStore === 0 ? '' : `, ${sizeText(objectStore)} from the object store`
}

/** @param {NonNullable<StatusReport['objectStore']> | null} report */
function showObjectStore(report) {
  objectStore.element.hidden = report === null
  if (report === null) return
  const { name, paused, uploads } = report
  const problem = paused ?? uploads.problem
  const state = paused !== null ? 'Paused' : uploads.problem !== null ? 'Uploads fail' : 'In use'
  const because = problem === null ? '' : `${problem} `
  objectStore.show(
    state,
    `${because}${name}: ${objectStoreReadsText(report)}; ${objectStoreUploadsText(report)}`,
  )
}

/** @param {NonNullable<StatusReport['copies']>} reports */
function showCopies(reports) {
  copies.element.hidden = reports.length === 0
  const waiting = reports.reduce((sum, report) => sum + report.waiting, 0)
  copies.show(waiting === 0 ? 'Idle' : `${waiting} waiting`, reports.map(copiesText).join('. '))
}

/**
 * @param {StatusReport} status
 * @param {number} now
 */
function requestsText({ addresses, lastPullAt }, now) {
  if (addresses.registry === null) return 'The registry API does not listen yet'
  const last =
    lastPullAt === null ? 'none for an image yet' : `the last one for an image ${agoText(lastPullAt, now)}`
  return `on ${addresses.registry}; ${last}`
}

/** @param {NonNullable<StatusReport['warm']>} warm */
function showWarm({ stored, missing }) {
  const total = stored + missing
  warm.element.hidden = total === 0
  if (total === 0) return
  const state =
    missing === 0
      ? 'All of them are completely stored'
      : `${plural(missing, 'image')} not complete; /readyz?warm=1 says which`
  warm.show(`${stored} of ${total}`, state)
  warmProgress.max = total
  warmProgress.value = stored
}

/** @param {StatusReport['store']} store */
function showStore({ blobs, bytes, limitBytes, evictedBytes, hosted }) {
  const limit = limitBytes === null ? '' : `, limit ${sizeText(limitBytes)}`
  const evicted = evictedBytes === 0 ? '' : `; ${sizeText(evictedBytes)} evicted`
  const pushed = hosted.blobs === 0 ? '' : `; ${sizeText(hosted.bytes)} hosted`
  cached.show(sizeText(bytes), `${plural(blobs, 'blob')}${limit}${evicted}${pushed}`)
  usage.hidden = limitBytes === null
  if (limitBytes !== null) usage.max = Math.max(1, limitBytes)
  usage.value = bytes
}

/**
 * @param {StatusReport} status
 * @returns {[string, string]}
 */
function savedTexts({ saved: amounts }) {
  if (amounts.bytes + amounts.fromUpstream === 0) return ['0 B', 'Nothing served yet']
  const cost = amounts.cost === null ? '' : `; worth ${amounts.cost.toFixed(2)}`
  return [sizeText(amounts.bytes), `${savedShareText(amounts)}, since ${amounts.since}${cost}`]
}

/**
 * @param {StatusReport['store']['scrub']} report
 * @param {number} now
 * @returns {[string, string]}
 */
function scrubTexts({ bytesPerSecond, state, found, lastRound }, now) {
  const current = {
    resting: bytesPerSecond === 0 ? 'Off' : 'Idle',
    'under-way': `Running, ${found} corrupt so far`,
    verifying: 'agent verify is running',
  }[state]
  const previous =
    lastRound === null
      ? 'No complete round yet'
      : `Last round ended ${agoText(lastRound.endedAt, now)}, ${lastRound.found} corrupt`
  return [current, previous]
}

/** @param {string} title */
function createCard(title) {
  const value = createElement('dd', 'value')
  const details = createElement('dd', 'muted')
  const element = createElement('div', '', createElement('dt', '', title), value, details)
  cards.append(element)
  return {
    element,
    /**
     * @param {string} valueText
     * @param {string} detailsText
     */
    show(valueText, detailsText) {
      setText(value, valueText)
      setOptionalText(details, detailsText)
    },
  }
}
