import { ask } from './ask.js'
import { byId, say } from './dom.js'
import { whileSeen } from './live.js'
import { tell } from './news.js'
import { showFlights } from './sections/flights.js'
import { showGlance } from './sections/glance.js'
import { showImages } from './sections/images.js'
import { showPeers } from './sections/peers.js'
import { showPulls } from './sections/pulls.js'
import { showUpstreams } from './sections/upstreams.js'
import { hideWhy, showWhy } from './sections/why.js'

/** @typedef {import('../schemas/status-report.ts').StatusReport} StatusReport */
/** @typedef {import('../schemas/pull-report.ts').PullsReport} PullsReport */

const state = byId('state')
const search = byId('search')
const subject = /** @type {HTMLInputElement} */ (byId('subject'))

/** @type {PullsReport | undefined} */
let pulls
/** Of the status that `pulls` belongs to. */
let pullsState = ''

whileSeen(
  async ({ signal }) => {
    const report = /** @type {StatusReport} */ (await ask('api/v1/status', { signal }))
    showState(report)
    showGlance(report)
    showFlights(report.flights)
    showUpstreams(report.upstreams)
    showPeers(report.peers)
    // Another start of the agent may have counted just as far.
    const asked = `${report.startedAt} ${report.requests}`
    if (pulls === undefined || asked !== pullsState) {
      pulls = /** @type {PullsReport} */ (await ask('api/v1/pulls', { signal }))
      pullsState = asked
    }
    showPulls(pulls.pulls)
    const { blobs, bytes } = report.store
    showImages(`${asked} ${blobs} ${bytes}`, { signal }).catch(() => {})
  },
  () => showWord('The agent does not answer; what is shown is how it was.', 'bad'),
)

/** @param {StatusReport} report */
function showState({ ready, reasons }) {
  if (ready) showWord('Ready: clients are answered.', 'good')
  else showWord(`Not ready: ${reasons.join('; ')}.`, 'bad')
}

/**
 * @param {string} sentence
 * @param {'good' | 'bad'} look
 */
function showWord(sentence, look) {
  if (state.textContent === sentence) return
  say(state, sentence)
  state.className = look
  tell(sentence)
}

search.addEventListener('submit', (event) => {
  event.preventDefault()
  const wanted = `#why=${encodeURIComponent(subject.value.trim())}`
  if (location.hash === wanted) follow()
  else location.hash = wanted
})
byId('why-close').addEventListener('click', () => {
  history.pushState(null, '', location.pathname)
  hideWhy()
  subject.focus()
})
window.addEventListener('popstate', follow)
follow()

/** Who asks, by the form or by a link, asks by the address, so that it can be passed on and gone back to. */
function follow() {
  const wanted = /^#why=(.+)$/.exec(location.hash)?.[1]
  if (wanted === undefined) {
    hideWhy()
    return
  }
  subject.value = decoded(wanted)
  void showWhy(subject.value)
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
