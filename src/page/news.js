import { byId, say } from './dom.js'

/** Who listens hears one sentence out before the next. */
const EVERY_MS = 5000

const place = byId('news')
/** @type {string | undefined} */
let waiting
let isResting = false

/**
 * Tells those who hear the page what has changed. Of several things within a few seconds they hear the last.
 *
 * @param {string} sentence
 */
export function tell(sentence) {
  if (isResting) {
    waiting = sentence
    return
  }
  isResting = true
  say(place, sentence)
  setTimeout(() => {
    isResting = false
    const next = waiting
    waiting = undefined
    if (next !== undefined) tell(next)
  }, EVERY_MS)
}
