import { byId, setText } from './dom.js'

/** A screen reader needs this long to read one sentence to its end. */
const INTERVAL_MS = 5000

const output = byId('announcements')
/** @type {string | undefined} */
let pending
let isBusy = false

/**
 * Has screen readers read a sentence about a change. Of several sentences within a few seconds they read the last.
 *
 * @param {string} sentence
 */
export function announce(sentence) {
  if (isBusy) {
    pending = sentence
    return
  }
  isBusy = true
  setText(output, sentence)
  setTimeout(() => {
    isBusy = false
    const next = pending
    pending = undefined
    if (next !== undefined) announce(next)
  }, INTERVAL_MS)
}
