import { agoText, plural, sizeText } from '../../observe/text.js'
import { byId, keeper, make, say, sayOrHide, shortDigest, whyLink } from '../dom.js'
import { tell } from '../news.js'

/** @typedef {import('../../schemas/status-report.ts').FlightReport} FlightReport */

const MOST = 50
/** How much the last second counts in the speed that is shown. */
const WEIGHT = 0.4

const none = byId('flights-none')
const more = byId('flights-more')
const show = keeper(byId('flights'), ({ digest }) => digest, begin)
let before = 0

/** @param {readonly FlightReport[]} flights */
export function showFlights(flights) {
  show(flights.slice(0, MOST))
  none.hidden = flights.length > 0
  sayOrHide(more, flights.length > MOST ? `and ${flights.length - MOST} more` : '')
  // How far each is can be read; only that there is something, and that it is over, is called out.
  if (flights.length > 0 && before === 0) tell(`${plural(flights.length, 'transfer')} under way`)
  if (flights.length === 0 && before > 0) tell('All transfers have ended')
  before = flights.length
}

/** @param {FlightReport} first */
function begin({ digest, kind, repository }) {
  const progress = make('progress')
  progress.setAttribute('aria-label', `${kind} ${shortDigest(digest)} of ${repository}`)
  const facts = make('p', 'quiet')
  const title = make('p', '', `${kind} `, whyLink(digest, shortDigest(digest)), ` of ${repository}`)
  const speed = speedometer()
  return {
    element: make('li', '', title, progress, facts),
    /** @param {FlightReport} flight */
    update({ position, size, source, startedAt, waiters }) {
      const perSecond = speed(position)
      if (size === null) progress.removeAttribute('value')
      else {
        progress.max = Math.max(1, size)
        progress.value = position
      }
      const so =
        size === null
          ? sizeText(position)
          : `${sizeText(position)} of ${sizeText(size)} (${Math.floor((100 * position) / Math.max(1, size))}%)`
      say(
        facts,
        `${so}, ${sizeText(Math.round(perSecond))}/s from ${source ?? 'nobody yet'}, for ${plural(waiters, 'client')}, begun ${agoText(startedAt, Date.now())}`,
      )
    },
  }
}

/** @returns {(position: number) => number} bytes per second, by how far it had got when it was last looked at */
function speedometer() {
  /** @type {{ at: number, position: number } | undefined} */
  let last
  let perSecond = 0
  return (position) => {
    const at = performance.now()
    if (last !== undefined && at > last.at) {
      const now = (1000 * Math.max(0, position - last.position)) / (at - last.at)
      perSecond = perSecond === 0 ? now : WEIGHT * now + (1 - WEIGHT) * perSecond
    }
    last = { at, position }
    return perSecond
  }
}
