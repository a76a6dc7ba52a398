import { plain } from '../observe/text.js'
import { announce } from './announcements.js'
import { fetchJson, LoginNeeded } from './api.js'
import { byId, setText } from './dom.js'
import { pollWhileVisible } from './polling.js'
import { showFirstSteps } from './sections/first-steps.js'
import { showFlights } from './sections/flights.js'
import { showHistory } from './sections/history.js'
import { showImages } from './sections/images.js'
import { showOverview } from './sections/overview.js'
import { showPeers } from './sections/peers.js'
import { showPulls } from './sections/pulls.js'
import { showSources } from './sections/sources.js'
import { showUpstreams } from './sections/upstreams.js'
import { hideWhy, showWhy } from './sections/why.js'
import { showSwarm } from './swarm/swarm.js'

/** @typedef {import('../schemas/status-report.ts').StatusReport} StatusReport */
/** @typedef {import('../schemas/pull-report.ts').PullsReport} PullsReport */

const state = byId('state')
const nodeName = byId('node-name')
const search = byId('search')
const subject = /** @type {HTMLInputElement} */ (byId('subject'))

/** @type {PullsReport | undefined} */
let pulls
/** Identifies the status for which `pulls` was fetched. */
let pullsVersion = ''

pollWhileVisible(
  async ({ signal }) => {
    const status = /** @type {StatusReport} */ (await fetchJson('api/v1/status', { signal }))
    showReadiness(status)
    showName(status.name)
    showFirstSteps(status)
    showOverview(status)
    showFlights(status.flights)
    showSources(status.sources)
    showUpstreams(status.upstreams)
    showPeers(status.peers)
    // After a restart the agent may come to the same number of requests, so the number alone identifies nothing.
    const version = `${status.startedAt} ${status.requests}`
    if (pulls === undefined || version !== pullsVersion) {
      pulls = /** @type {PullsReport} */ (await fetchJson('api/v1/pulls', { signal }))
      pullsVersion = version
    }
    showPulls(pulls.pulls)
    await showHistory({ signal })
    // It may take a second and a half, for which nothing else waits.
    showSwarm(status.peers !== null, { signal }).catch(() => {})
    const { blobs, bytes } = status.store
    showImages(`${version} ${blobs} ${bytes}`, { signal }).catch(() => {})
  },
  (error) =>
    showState(
      error instanceof LoginNeeded
        ? error.message
        : 'The agent does not respond. The values below are out of date.',
      'bad',
    ),
)

/** @param {string} name */
function showName(name) {
  setText(nodeName, name)
  const title = `${plain(name)} – Leat`
  if (document.title !== title) document.title = title
}

/** @param {StatusReport} status */
function showReadiness({ ready, reasons }) {
  if (ready) showState('Ready to serve clients.', 'good')
  else showState(`Not ready: ${reasons.join('; ')}.`, 'bad')
}

/**
 * @param {string} sentence
 * @param {'good' | 'bad'} className
 */
function showState(sentence, className) {
  if (state.textContent === sentence) return
  setText(state, sentence)
  state.className = className
  announce(sentence)
}

search.addEventListener('submit', (event) => {
  event.preventDefault()
  const hash = `#why=${encodeURIComponent(subject.value.trim())}`
  if (location.hash === hash) showHash()
  else location.hash = hash
})
byId('why-close').addEventListener('click', () => {
  history.pushState(null, '', location.pathname)
  hideWhy()
  subject.focus()
})
window.addEventListener('popstate', showHash)
showHash()

/** The form and all links put the subject into the hash of the URL, so that it can be bookmarked and gone back to. */
function showHash() {
  const encoded = /^#why=(.+)$/.exec(location.hash)?.[1]
  if (encoded === undefined) {
    hideWhy()
    return
  }
  subject.value = decode(encoded)
  void showWhy(subject.value)
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
