import { agoText, plural, sizeText } from '../../observe/text.js'
import { askLines } from '../ask.js'
import { byId, keeper, make, sayOrHide, tableRow, whyLink } from '../dom.js'

/** @typedef {import('../../schemas/content-report.ts').ImageReport} ImageReport */

const MOST = 200
/** Nobody can look through more, and each costs the agent a few reads. */
const MOST_ASKED = 2000
/** A list that was long in coming is not asked for all the time. */
const LEAST_PAUSE_MS = 5000
const PAUSES_PER_WAIT = 20

const none = byId('images-none')
const table = byId('images-table')
const more = byId('images-more')
const known = byId('known')
const show = keeper(byId('images'), nameOf, begin)

/** @type {string | undefined} */
let shownState
let nextAt = 0
let isAsking = false

/**
 * Asks for the list anew when the store or the requests are no longer as they were.
 *
 * @param {string} state
 * @param {{ signal: AbortSignal }} options
 */
export async function showImages(state, { signal }) {
  if (isAsking || state === shownState || performance.now() < nextAt) return
  isAsking = true
  const start = performance.now()
  try {
    /** @type {ImageReport[]} */
    const images = []
    for await (const image of askLines('api/v1/images', { signal })) {
      images.push(/** @type {ImageReport} */ (image))
      if (images.length === MOST_ASKED) break
    }
    showAll(images)
    shownState = state
  } finally {
    isAsking = false
    const end = performance.now()
    nextAt = end + Math.max(LEAST_PAUSE_MS, PAUSES_PER_WAIT * (end - start))
  }
}

/** @param {ImageReport[]} images */
function showAll(images) {
  images.sort((a, b) => (b.lastUsedAt ?? '').localeCompare(a.lastUsedAt ?? ''))
  const shown = images.slice(0, MOST)
  show(shown)
  known.replaceChildren(
    ...shown.map((image) => {
      const option = make('option')
      option.value = nameOf(image)
      return option
    }),
  )
  none.hidden = images.length > 0
  table.hidden = images.length === 0
  const count = images.length === MOST_ASKED ? `at least ${MOST_ASKED}` : String(images.length)
  sayOrHide(more, images.length > MOST ? `The last ${MOST} used of ${count}; agent ls tells all.` : '')
}

/** @param {ImageReport} image */
function nameOf({ repository, tag }) {
  return `${repository}:${tag}`
}

/** @param {ImageReport} image */
function begin(image) {
  const { element, fill } = tableRow(whyLink(nameOf(image)), ['number', '', '', '', ''])
  return {
    element,
    /** @param {ImageReport} now */
    update({ bytesHere, state, platforms, lastUsedAt, pinned }) {
      const [first = '', ...others] = platforms
      const beside = others.length === 0 ? '' : ` and ${plural(others.length, 'other')}`
      fill([
        sizeText(bytesHere),
        state,
        `${first}${beside}`,
        lastUsedAt === null ? 'never' : agoText(lastUsedAt, Date.now()),
        pinned ? 'pinned' : 'no',
      ])
    },
  }
}
