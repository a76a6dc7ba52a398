import { whyFacts, whySubject } from '../../observe/why-facts.js'
import { announce } from '../announcements.js'
import { fetchJson } from '../api.js'
import { byId, createElement, createWhyLink, setText } from '../dom.js'

/** @typedef {import('../../observe/why-facts.ts').WhyLine} WhyLine */
/** @typedef {import('../../schemas/why-report.ts').WhyReport} WhyReport */

const section = byId('why')
const title = byId('why-title')
const facts = byId('why-facts')

/** @type {AbortController | undefined} */
let current

export function hideWhy() {
  current?.abort()
  section.hidden = true
}

/**
 * Shows what `agent why` prints about a subject, and moves the focus to its title.
 *
 * @param {string} subject
 */
export async function showWhy(subject) {
  current?.abort()
  const own = new AbortController()
  current = own
  try {
    const path = `api/v1/why?subject=${encodeURIComponent(subject)}`
    const report = /** @type {WhyReport} */ (await fetchJson(path, own))
    if (own.signal.aborted) return
    setText(title, whySubject(report))
    facts.replaceChildren(
      ...whyFacts(report, Date.now()).flatMap(({ label, lines }) => createFact(label, lines)),
    )
    announce(`${subject}: ${report.next}`)
  } catch (error) {
    if (own.signal.aborted) return
    const sentence = error instanceof Error ? error.message : 'the agent does not respond'
    setText(title, subject)
    facts.replaceChildren(...createFact('error', [{ text: sentence }]))
    announce(`${subject}: ${sentence}`)
  }
  section.hidden = false
  title.focus()
}

/**
 * @param {string} label
 * @param {readonly WhyLine[]} lines
 */
function createFact(label, lines) {
  const capitalized = label.charAt(0).toUpperCase() + label.slice(1)
  const [only] = lines
  const isOneText = lines.length === 1 && only !== undefined && (only.details ?? []).length === 0
  const value = isOneText ? lineNodes(only) : [createLineList(lines)]
  return [createElement('dt', '', capitalized), createElement('dd', '', ...value)]
}

/** @param {readonly WhyLine[]} lines */
function createLineList(lines) {
  return createElement('ul', 'lines', ...lines.map((line) => createElement('li', '', ...lineNodes(line))))
}

/**
 * @param {WhyLine} line
 * @returns {(Node | string)[]}
 */
function lineNodes({ text, digest, details = [] }) {
  const link = digest === undefined ? [] : [createWhyLink(digest), ' ']
  const below = details.length === 0 ? [] : [createLineList(details.map((detail) => ({ text: detail })))]
  return [...link, text, ...below]
}
