import { plural, sizeText } from '../../observe/text.js'
import { make, say } from '../dom.js'

/** @typedef {{ local: number, inflight: number, peer: number, upstream: number }} Bytes by where they came from */

/** @type {readonly (readonly [keyof Bytes, string])[]} */
const ORIGINS = [
  ['local', 'the store'],
  ['inflight', 'transfers under way'],
  ['peer', 'peers'],
  ['upstream', 'upstream'],
]

/** @param {Bytes} bytes */
export function total(bytes) {
  return ORIGINS.reduce((sum, [origin]) => sum + bytes[origin], 0)
}

/**
 * `3 requests, 5.0 MiB: 4.0 MiB from the store, 1.0 MiB from upstream`
 *
 * @param {Bytes} bytes
 * @param {number} requests
 */
export function originsText(bytes, requests) {
  const parts = ORIGINS.filter(([origin]) => bytes[origin] > 0).map(
    ([origin, name]) => `${sizeText(bytes[origin])} from ${name}`,
  )
  const all = parts.length > 1 ? `${sizeText(total(bytes))}: ` : ''
  return `${plural(requests, 'request')}, ${all}${parts.join(', ') || 'no bytes'}`
}

/**
 * A bar of one part for each origin; what it shows is always said beside it in words.
 *
 * @param {HTMLElement} bar
 * @returns {(bytes: Bytes) => void}
 */
export function originsBar(bar) {
  const parts = ORIGINS.map(([origin]) => make('span', origin))
  bar.append(...parts)
  return (bytes) => {
    for (const [at, [origin]] of ORIGINS.entries()) {
      const grow = String(bytes[origin])
      const part = parts[at]
      if (part !== undefined && part.style.flexGrow !== grow) part.style.flexGrow = grow
    }
  }
}

/**
 * @param {HTMLElement} list
 * @returns {(bytes: Bytes) => void}
 */
export function originsLegend(list) {
  const items = ORIGINS.map(([origin]) => make('li', origin))
  list.append(...items)
  return (bytes) => {
    const all = total(bytes)
    for (const [at, [origin, name]] of ORIGINS.entries()) {
      const share = all === 0 ? '' : ` (${Math.round((100 * bytes[origin]) / all)}%)`
      const item = items[at]
      if (item !== undefined) say(item, `${sizeText(bytes[origin])} from ${name}${share}`)
    }
  }
}
