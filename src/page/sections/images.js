import { agoText, plural, sizeText } from '../../observe/text.js'
import { fetchJsonLines } from '../api.js'
import {
  byId,
  createElement,
  createListUpdater,
  createRow,
  createWhyLink,
  setOptionalText,
  setText,
} from '../dom.js'

/** @typedef {import('../../schemas/content-report.ts').ImageReport} ImageReport */

/** How many images are shown at first, and how many more at a time. */
const PAGE = 100
/** A longer list helps no reader, and each image costs the agent a few reads. */
const MAX_FETCHED = 2000
/** The longer the agent takes for the list, the less often the page fetches the list. */
const MIN_PAUSE_MS = 5000
const PAUSE_FACTOR = 20

const none = byId('images-none')
const table = byId('images-table')
const view = byId('images-view')
const filter = /** @type {HTMLInputElement} */ (byId('images-filter'))
const sort = /** @type {HTMLSelectElement} */ (byId('images-sort'))
const count = byId('images-count')
const more = byId('images-more')
const suggestions = byId('suggestions')
const updateTable = createListUpdater(byId('images'), nameOf, createImageRow)

/** @type {string | undefined} */
let shownVersion
let nextFetchAt = 0
/** @type {ImageReport[]} */
let all = []
let shownCount = PAGE

view.addEventListener('submit', (event) => event.preventDefault())
for (const control of [filter, sort]) {
  control.addEventListener('input', () => {
    shownCount = PAGE
    show()
  })
}
more.addEventListener('click', () => {
  shownCount += PAGE
  show()
})
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
    all = images
    show()
    shownVersion = version
  } finally {
    isFetching = false
    const end = performance.now()
    nextFetchAt = end + Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * (end - start))
  }
}

function show() {
  const words = filter.value.trim().toLowerCase().split(/\s+/)
  const found = all.filter((image) => words.every((word) => nameOf(image).toLowerCase().includes(word)))
  found.sort(ORDERS[/** @type {keyof typeof ORDERS} */ (sort.value)] ?? ORDERS.used)
  const shown = found.slice(0, shownCount)
  updateTable(shown)
  suggestions.replaceChildren(
    ...shown.map((image) => {
      const option = createElement('option')
      option.value = nameOf(image)
      return option
    }),
  )
  none.hidden = all.length > 0
  view.hidden = all.length === 0
  table.hidden = shown.length === 0
  const total = all.length === MAX_FETCHED ? `at least ${MAX_FETCHED} images` : plural(all.length, 'image')
  setText(count, found.length === all.length ? total : `${found.length} of ${total}`)
  setOptionalText(
    more,
    found.length > shown.length ? `Show ${Math.min(PAGE, found.length - shown.length)} more` : '',
  )
}

const ORDERS = {
  /** @type {(a: ImageReport, b: ImageReport) => number} */
  used: (a, b) => (b.lastUsedAt ?? '').localeCompare(a.lastUsedAt ?? ''),
  /** @type {(a: ImageReport, b: ImageReport) => number} */
  name: (a, b) => nameOf(a).localeCompare(nameOf(b)),
  /** @type {(a: ImageReport, b: ImageReport) => number} */
  size: (a, b) => b.bytesHere - a.bytesHere,
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
