import { agoText, plural, sizeText } from '../../observe/text.js'
import { byId, make, say, sayOrHide } from '../dom.js'
import { originsBar, originsLegend, total } from './origins.js'

/** @typedef {import('../../schemas/status-report.ts').StatusReport} StatusReport */

const list = byId('glance')
const store = card('Kept')
const saved = card('Saved')
const fetched = card('Fetched')
const answered = card('Answered')
const scrubbed = card('Looked over')
const agent = card('Agent')
const room = make('progress')
room.setAttribute('aria-label', 'Room used')
store.place.append(make('dd', '', room))
const bar = originsBar(byId('served-bar'))
const legend = originsLegend(byId('served'))

/** @param {StatusReport} report */
export function showGlance(report) {
  const { addresses, fetched: taken, requests, served, startedAt, version } = report
  const now = Date.now()
  showStore(report.store)
  const given = total(served)
  const kept = Math.max(0, given - taken.upstream)
  saved.show(
    given === 0 ? 'nothing yet' : sizeText(kept),
    given === 0
      ? ''
      : `${Math.round((100 * kept) / given)}% of what was served did not come from upstream again`,
  )
  fetched.show(sizeText(taken.upstream), `from upstream, and ${sizeText(taken.peer)} from peers`)
  answered.show(
    plural(requests, 'request'),
    addresses.registry === null ? 'nobody is served yet' : `at ${addresses.registry}`,
  )
  scrubbed.show(...scrubText(report.store.scrub, now))
  agent.show(version, `up since ${agoText(startedAt, now)}, data in ${report.data}`)
  bar(served)
  legend(served)
}

/** @param {StatusReport['store']} now */
function showStore({ blobs, bytes, limitBytes, evictedBytes }) {
  const limit = limitBytes === null ? '' : ` of at most ${sizeText(limitBytes)}`
  const evicted = evictedBytes === 0 ? '' : `; ${sizeText(evictedBytes)} were let go to make room`
  store.show(sizeText(bytes), `in ${plural(blobs, 'blob')}${limit}${evicted}`)
  room.hidden = limitBytes === null
  if (limitBytes !== null) room.max = Math.max(1, limitBytes)
  room.value = bytes
}

/**
 * @param {StatusReport['store']['scrub']} scrub
 * @param {number} now
 * @returns {[string, string]}
 */
function scrubText({ bytesPerSecond, state, found, lastRound }, now) {
  const doing = {
    resting: bytesPerSecond === 0 ? 'off' : 'resting',
    'under-way': `under way, ${found} rotten so far`,
    verifying: 'agent verify is under way',
  }[state]
  const before =
    lastRound === null
      ? 'no full round yet'
      : `last full round ended ${agoText(lastRound.endedAt, now)} and found ${lastRound.found} rotten`
  return [doing, before]
}

/** @param {string} title */
function card(title) {
  const main = make('dd', 'main')
  const more = make('dd', 'quiet')
  const place = make('div', '', make('dt', '', title), main, more)
  list.append(place)
  return {
    place,
    /**
     * @param {string} text
     * @param {string} small
     */
    show(text, small) {
      say(main, text)
      sayOrHide(more, small)
    },
  }
}
