import { agoText, plural, sizeText } from '../../observe/text.js'
import { announce } from '../announcements.js'
import {
  byId,
  createElement,
  createListUpdater,
  createWhyLink,
  setOptionalText,
  setText,
  shortenDigest,
} from '../dom.js'

/** @typedef {import('../../schemas/status-report.ts').FlightReport} FlightReport */

const MAX_SHOWN = 50
/** The weight of the last second in the displayed rate. */
const SMOOTHING = 0.4

const none = byId('flights-none')
const more = byId('flights-more')
const updateList = createListUpdater(byId('flights'), ({ digest }) => digest, createItem)
let previousCount = 0

/** @param {readonly FlightReport[]} flights */
export function showFlights(flights) {
  updateList(flights.slice(0, MAX_SHOWN))
  none.hidden = flights.length > 0
  setOptionalText(more, flights.length > MAX_SHOWN ? `and ${flights.length - MAX_SHOWN} more` : '')
  // Progress changes every second, so only the first transfer and the end of the last one are announced.
  if (flights.length > 0 && previousCount === 0) {
    announce(`${plural(flights.length, 'transfer')} in progress`)
  }
  if (flights.length === 0 && previousCount > 0) announce('All transfers have ended')
  previousCount = flights.length
}

/** @param {FlightReport} flight */
function createItem({ digest, kind, repository }) {
  const progress = createElement('progress')
  progress.setAttribute('aria-label', `${kind} ${shortenDigest(digest)} of ${repository}`)
  const facts = createElement('p', 'muted')
  const link = createWhyLink(digest, shortenDigest(digest))
  const title = createElement('p', '', `${kind} `, link, ` of ${repository}`)
  const measureRate = createRateMeter()
  return {
    element: createElement('li', '', title, progress, facts),
    /** @param {FlightReport} flight */
    update({ position, size, source, startedAt, waiters }) {
      const bytesPerSecond = measureRate(position)
      if (size === null) progress.removeAttribute('value')
      else {
        progress.max = Math.max(1, size)
        progress.value = position
      }
      const rate = `${sizeText(Math.round(bytesPerSecond))}/s`
      const from = source === null ? 'no source yet' : `${rate} from ${source}`
      const started = `started ${agoText(startedAt, Date.now())}`
      setText(facts, `${progressText(position, size)}, ${from}, ${plural(waiters, 'request')}, ${started}`)
    },
  }
}

/**
 * @param {number} position
 * @param {number | null} size
 */
function progressText(position, size) {
  if (size === null) return sizeText(position)
  const percent = Math.floor((100 * position) / Math.max(1, size))
  return `${sizeText(position)} of ${sizeText(size)} (${percent}%)`
}

/** @returns {(position: number) => number} gives bytes per second, from the positions of successive calls */
function createRateMeter() {
  /** @type {{ time: number, position: number } | undefined} */
  let last
  let bytesPerSecond = 0
  return (position) => {
    const time = performance.now()
    if (last !== undefined && time > last.time) {
      const current = (1000 * Math.max(0, position - last.position)) / (time - last.time)
      bytesPerSecond = bytesPerSecond === 0 ? current : SMOOTHING * current + (1 - SMOOTHING) * bytesPerSecond
    }
    last = { time, position }
    return bytesPerSecond
  }
}
