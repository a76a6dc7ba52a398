import { agoText, spanText } from '../../observe/text.js'
import {
  byId,
  createElement,
  createListUpdater,
  createWhyLink,
  setOptionalText,
  setText,
  shortenDigest,
} from '../dom.js'
import { createSourcesBar, sourcesText } from './byte-sources.js'
import { createWaterfall } from './waterfall.js'

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
  const failure = createElement('p', 'bad')
  const waterfall = createWaterfall()
  let shownReferences = ''
  return {
    element: createElement('li', '', links, bar, facts, failure, waterfall.element),
    /** @param {PullReport} pull */
    update(pull) {
      const { repository, references, startedAt, endedAt, requests, failed, bytes } = pull
      const joined = references.join(' ')
      if (joined !== shownReferences) {
        shownReferences = joined
        links.replaceChildren(
          ...references.flatMap((reference) => [createReferenceLink(repository, reference), ' ']),
        )
      }
      updateBar(bytes)
      const ms = Date.parse(endedAt) - Date.parse(startedAt)
      setText(facts, `${agoText(endedAt, Date.now())}, took ${spanText(ms)}: ${sourcesText(bytes, requests)}`)
      setOptionalText(failure, failed === 0 ? '' : `${failed} failed: ${pull.failure}`)
      waterfall.update(pull)
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
