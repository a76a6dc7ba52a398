import { agoText, plural, sizeText } from '../../observe/text.js'
import { fetchJsonLines } from '../api.js'
import { byId, createElement, createListUpdater, createRow, createWhyLink, setOptionalText } from '../dom.js'

/** @typedef {import('../../schemas/content-report.ts').ImageReport} ImageReport */

const MAX_SHOWN = 200
/** A longer list helps no reader, and each image costs the agent a few reads. */
const MAX_FETCHED = 2000
/** The longer the agent takes for the list, the less often the page fetches the list. */
const MIN_PAUSE_MS = 5000
const PAUSE_FACTOR = 20

const none = byId('images-none')
const table = byId('images-table')
const more = byId('images-more')
const suggestions = byId('suggestions')
const updateTable = createListUpdater(byId('images'), nameOf, createImageRow)

/** @type {string | undefined} */
let shownVersion
let nextFetchAt = 0
let isFetching = false

/**
 * Fetches the list again when its version has changed.
 *
 * @param {string} version identifies a state of the store and of the requests
 * @param {{ signal: AbortSignal }} options
 */
export async function showImages(version, { signal }) {
  if (isFetching || version === shownVersion || performance.now() < nextFetchAt) return
  isFetching = true
  const start = performance.now()
  try {
    /** @type {ImageReport[]} */
    const images = []
    for await (const image of fetchJsonLines('api/v1/images', { signal })) {
      images.push(/** @type {ImageReport} */ (image))
      if (images.length === MAX_FETCHED) break
    }
    showAll(images)
    shownVersion = version
  } finally {
    isFetching = false
    const end = performance.now()
    nextFetchAt = end + Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * (end - start))
  }
}

/** @param {ImageReport[]} images */
function showAll(images) {
  images.sort((a, b) => (b.lastUsedAt ?? '').localeCompare(a.lastUsedAt ?? ''))
  const shown = images.slice(0, MAX_SHOWN)
  updateTable(shown)
  suggestions.replaceChildren(
    ...shown.map((image) => {
      const option = createElement('option')
      option.value = nameOf(image)
      return option
    }),
  )
  none.hidden = images.length > 0
  table.hidden = images.length === 0
  const count = images.length === MAX_FETCHED ? `at least ${MAX_FETCHED}` : String(images.length)
  setOptionalText(
    more,
    images.length > MAX_SHOWN
      ? `The ${MAX_SHOWN} most recently used of ${count} images; agent ls lists all.`
      : '',
  )
}

/** @param {ImageReport} image */
function nameOf({ repository, tag }) {
  return `${repository}:${tag}`
}

/**
 * Says by which other tag, or by which digest, an image is pinned.
 * @param {ImageReport} image
 */
function pinText(image) {
  const [other] = image.pinnedBy
  return other === undefined || image.pinnedBy.includes(nameOf(image)) ? 'yes' : `by ${other}`
}

/** @param {ImageReport} image */
function createImageRow(image) {
  const { element, setTexts } = createRow(createWhyLink(nameOf(image)), ['number', '', '', '', ''])
  return {
    element,
    /** @param {ImageReport} image */
    update(image) {
      const { bytesHere, state, platforms, lastUsedAt, pinned } = image
      const [first = '', ...others] = platforms
      const rest = others.length === 0 ? '' : ` and ${plural(others.length, 'other')}`
      setTexts([
        sizeText(bytesHere),
        state,
        `${first}${rest}`,
        lastUsedAt === null ? 'never' : agoText(lastUsedAt, Date.now()),
        pinned ? pinText(image) : 'no',
      ])
    },
  }
}
