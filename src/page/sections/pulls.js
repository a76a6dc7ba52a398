import { agoText, spanText } from '../../observe/text.js'
import { byId, createElement, createListUpdater, createWhyLink, setText, shortenDigest } from '../dom.js'
import { createSourcesBar, sourcesText } from './byte-sources.js'

/** @typedef {import('../../schemas/pull-report.ts').PullReport} PullReport */

const none = byId('pulls-none')
const updateList = createListUpdater(
  byId('pulls'),
  ({ repository, startedAt }) => `${startedAt} ${repository}`,
  createItem,
)

/** @param {readonly PullReport[]} pulls */
export function showPulls(pulls) {
  updateList(pulls)
  none.hidden = pulls.length > 0
}

function createItem() {
  const links = createElement('p')
  const bar = createElement('div', 'bar')
  bar.ariaHidden = 'true'
  const updateBar = createSourcesBar(bar)
  const facts = createElement('p', 'muted')
  let shownReferences = ''
  return {
    element: createElement('li', '', links, bar, facts),
    /** @param {PullReport} pull */
    update({ repository, references, startedAt, endedAt, requests, failed, bytes }) {
      const joined = references.join(' ')
      if (joined !== shownReferences) {
        shownReferences = joined
        links.replaceChildren(
          ...references.flatMap((reference) => [createReferenceLink(repository, reference), ' ']),
        )
      }
      updateBar(bytes)
      const ms = Date.parse(endedAt) - Date.parse(startedAt)
      const failures = failed === 0 ? '' : `; ${failed} failed`
      setText(
        facts,
        `${agoText(endedAt, Date.now())}, took ${spanText(ms)}: ${sourcesText(bytes, requests)}${failures}`,
      )
    },
  }
}

/**
 * @param {string} repository
 * @param {string} reference a tag or a digest
 */
function createReferenceLink(repository, reference) {
  return reference.includes(':')
    ? createWhyLink(`${repository}@${reference}`, `${repository}@${shortenDigest(reference)}`)
    : createWhyLink(`${repository}:${reference}`)
}
