import { agoText, spanText } from '../../observe/text.js'
import { byId, keeper, make, say, shortDigest, whyLink } from '../dom.js'
import { originsBar, originsText } from './origins.js'

/** @typedef {import('../../schemas/pull-report.ts').PullReport} PullReport */

const none = byId('pulls-none')
const show = keeper(byId('pulls'), ({ repository, startedAt }) => `${startedAt} ${repository}`, begin)

/** @param {readonly PullReport[]} pulls */
export function showPulls(pulls) {
  show(pulls)
  none.hidden = pulls.length > 0
}

function begin() {
  const names = make('p')
  const bar = make('div', 'bar')
  bar.ariaHidden = 'true'
  const fill = originsBar(bar)
  const facts = make('p', 'quiet')
  let named = ''
  return {
    element: make('li', '', names, bar, facts),
    /** @param {PullReport} pull */
    update({ repository, references, startedAt, endedAt, requests, failed, bytes }) {
      const naming = references.join(' ')
      if (naming !== named) {
        named = naming
        names.replaceChildren(...references.flatMap((reference) => [nameLink(repository, reference), ' ']))
      }
      fill(bytes)
      const tookMs = Date.parse(endedAt) - Date.parse(startedAt)
      const failures = failed === 0 ? '' : `; ${failed} failed`
      say(
        facts,
        `${agoText(endedAt, Date.now())}, in ${spanText(tookMs)}: ${originsText(bytes, requests)}${failures}`,
      )
    },
  }
}

/**
 * @param {string} repository
 * @param {string} reference
 */
function nameLink(repository, reference) {
  return reference.includes(':')
    ? whyLink(`${repository}@${reference}`, `${repository}@${shortDigest(reference)}`)
    : whyLink(`${repository}:${reference}`)
}
