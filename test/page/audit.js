// This script runs in the page. `audit()` returns a sentence for each fault of its accessibility that a program can find.

const CONTROLS = 'a, button, input, select, textarea, summary, progress, [tabindex="0"], section, table'
const MIN_CONTRAST = 4.5
const MIN_TARGET_PX = 24

/** @returns {string[]} */
function audit() {
  return [...structureFaults(), ...nameFaults(), ...contrastFaults(), ...sizeFaults()]
}

/** @param {Element} element */
function isVisible(element) {
  return element.checkVisibility({ visibilityProperty: true }) && element.closest('.visually-hidden') === null
}

/** @param {string} selector */
function visible(selector) {
  return [...document.querySelectorAll(selector)].filter(isVisible)
}

function structureFaults() {
  const faults = []
  for (const name of ['h1', 'header', 'main', 'footer', 'search', '#announcements'])
    if (document.querySelectorAll(name).length !== 1) faults.push(`there is not exactly one ${name}`)
  if (document.documentElement.lang === '') faults.push('the page has no language')
  if (document.title === '') faults.push('the page has no title')
  let level = 0
  for (const heading of visible('h1, h2, h3, h4')) {
    const next = Number(heading.tagName.slice(1))
    if (next > level + 1) faults.push(`the heading ${heading.textContent} skips a level`)
    level = next
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  if (new Set(ids).size !== ids.length) faults.push('two elements have the same id')
  return faults
}

function nameFaults() {
  return visible(CONTROLS)
    .filter((element) => element.tagName !== 'TABLE' || element.closest('section') === null)
    .filter((element) => nameOf(element).trim() === '')
    .map((element) => `${element.outerHTML.slice(0, 80)} has no name`)
}

/** @param {Element} element */
function nameOf(element) {
  const labelled = element.getAttribute('aria-labelledby')
  if (labelled !== null) return document.getElementById(labelled)?.textContent ?? ''
  const own = element.getAttribute('aria-label')
  if (own !== null) return own
  if (element instanceof HTMLInputElement) return element.labels?.[0]?.textContent ?? ''
  return element.tagName === 'SECTION' || element.tagName === 'PROGRESS' ? '' : (element.textContent ?? '')
}

function contrastFaults() {
  const faults = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode() !== null) {
    const { parentElement: element, textContent } = texts.currentNode
    if (element === null || textContent?.trim() === '' || !isVisible(element)) continue
    const ratio = contrast(getComputedStyle(element).color, backgroundOf(element))
    if (ratio < MIN_CONTRAST) faults.add(`${textContent?.slice(0, 30)}: contrast ${ratio.toFixed(2)}`)
  }
  return [...faults]
}

/** @param {Element} element */
function backgroundOf(element) {
  for (
    let ancestor = /** @type {Element | null} */ (element);
    ancestor !== null;
    ancestor = ancestor.parentElement
  ) {
    const { backgroundColor } = getComputedStyle(ancestor)
    if (backgroundColor !== 'rgba(0, 0, 0, 0)') return backgroundColor
  }
  return 'rgb(255, 255, 255)'
}

/**
 * WCAG 2.2, "contrast ratio".
 *
 * @param {string} text
 * @param {string} background
 */
function contrast(text, background) {
  const [light = 0, dark = 0] = [luminance(text), luminance(background)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

/** @param {string} color */
function luminance(color) {
  const [red = 0, green = 0, blue = 0] = [...color.matchAll(/[\d.]+/g)].map(([part]) => {
    const share = Number(part) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function sizeFaults() {
  const faults = visible('button, input, summary')
    .filter((element) => element.getBoundingClientRect().height < MIN_TARGET_PX)
    .map((element) => `${element.outerHTML.slice(0, 80)} is too small to click`)
  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth > clientWidth)
    faults.push(`the page is ${scrollWidth} px wide, and ${clientWidth} px are visible`)
  return faults
}

Object.assign(globalThis, { audit })
