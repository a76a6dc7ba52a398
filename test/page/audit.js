// Runs in the page: what can be said about its accessibility without seeing it. `audit()` gives back a sentence for each fault.

const CONTROLS = 'a, button, input, select, textarea, summary, progress, [tabindex="0"], section, table'
const LEAST_CONTRAST = 4.5
const LEAST_TARGET = 24

/** @returns {string[]} */
function audit() {
  return [...structure(), ...names(), ...contrasts(), ...sizes()]
}

/** @param {Element} element */
function isSeen(element) {
  return element.checkVisibility({ visibilityProperty: true }) && element.closest('.unseen') === null
}

/** @param {string} selector */
function seen(selector) {
  return [...document.querySelectorAll(selector)].filter(isSeen)
}

function structure() {
  const faults = []
  for (const name of ['h1', 'header', 'main', 'footer', 'search', '#news'])
    if (document.querySelectorAll(name).length !== 1) faults.push(`there is not one ${name}`)
  if (document.documentElement.lang === '') faults.push('the language is not told')
  if (document.title === '') faults.push('there is no title')
  let level = 0
  for (const heading of seen('h1, h2, h3, h4')) {
    const next = Number(heading.tagName.slice(1))
    if (next > level + 1) faults.push(`${heading.textContent} skips a level`)
    level = next
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  if (new Set(ids).size !== ids.length) faults.push('an id is there twice')
  return faults
}

function names() {
  return seen(CONTROLS)
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

function contrasts() {
  const faults = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode() !== null) {
    const { parentElement: element, textContent } = texts.currentNode
    if (element === null || textContent?.trim() === '' || !isSeen(element)) continue
    const ratio = contrast(getComputedStyle(element).color, groundOf(element))
    if (ratio < LEAST_CONTRAST) faults.add(`${textContent?.slice(0, 30)}: contrast ${ratio.toFixed(2)}`)
  }
  return [...faults]
}

/** @param {Element} element */
function groundOf(element) {
  for (let at = /** @type {Element | null} */ (element); at !== null; at = at.parentElement) {
    const { backgroundColor } = getComputedStyle(at)
    if (backgroundColor !== 'rgba(0, 0, 0, 0)') return backgroundColor
  }
  return 'rgb(255, 255, 255)'
}

/**
 * WCAG 2.2, "contrast ratio".
 *
 * @param {string} ink
 * @param {string} ground
 */
function contrast(ink, ground) {
  const [light = 0, dark = 0] = [luminance(ink), luminance(ground)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

/** @param {string} colour */
function luminance(colour) {
  const [red = 0, green = 0, blue = 0] = [...colour.matchAll(/[\d.]+/g)].map(([part]) => {
    const share = Number(part) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function sizes() {
  const faults = seen('button, input, summary')
    .filter((element) => element.getBoundingClientRect().height < LEAST_TARGET)
    .map((element) => `${element.outerHTML.slice(0, 80)} is too small to hit`)
  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth > clientWidth) faults.push(`it is ${scrollWidth} wide where ${clientWidth} can be seen`)
  return faults
}

Object.assign(globalThis, { audit })
