import { plural, sizeText } from '../../observe/text.js'
import { createElement, setText } from '../dom.js'

/** @typedef {{ local: number, inflight: number, peer: number, objectStore: number, upstream: number }} BytesBySource */

/** @type {readonly (readonly [source: keyof BytesBySource, name: string])[]} */
const SOURCES = [
  ['local', 'the store'],
  ['inflight', 'transfers in progress'],
  ['peer', 'peers'],
  ['objectStore', 'the object store'],
  ['upstream', 'upstream'],
]

/** @param {BytesBySource} bytes */
export function totalBytes(bytes) {
  return SOURCES.reduce((sum, [source]) => sum + bytes[source], 0)
}

/**
 * `3 requests, 5.0 MiB: 4.0 MiB from the store, 1.0 MiB from upstream`
 *
 * @param {BytesBySource} bytes
 * @param {number} requests
 */
export function sourcesText(bytes, requests) {
  const parts = SOURCES.filter(([source]) => bytes[source] > 0).map(
    ([source, name]) => `${sizeText(bytes[source])} from ${name}`,
  )
  const total = parts.length > 1 ? `${sizeText(totalBytes(bytes))}: ` : ''
  return `${plural(requests, 'request')}, ${total}${parts.join(', ') || '0 B'}`
}

/**
 * Creates a bar with one segment for each source. A text beside the bar has the same values.
 *
 * @param {HTMLElement} bar
 * @returns {(bytes: BytesBySource) => void}
 */
export function createSourcesBar(bar) {
  const segments = SOURCES.map(([source]) => createElement('span', source))
  bar.append(...segments)
  return (bytes) => {
    for (const [i, [source]] of SOURCES.entries()) {
      const grow = String(bytes[source])
      const segment = segments[i]
      if (segment !== undefined && segment.style.flexGrow !== grow) segment.style.flexGrow = grow
    }
  }
}

/**
 * @param {HTMLElement} list
 * @returns {(bytes: BytesBySource) => void}
 */
export function createSourcesLegend(list) {
  const items = SOURCES.map(([source]) => createElement('li', source))
  list.append(...items)
  return (bytes) => {
    const total = totalBytes(bytes)
    for (const [i, [source, name]] of SOURCES.entries()) {
      const share = total === 0 ? '' : ` (${Math.round((100 * bytes[source]) / total)}%)`
      const item = items[i]
      if (item !== undefined) setText(item, `${sizeText(bytes[source])} from ${name}${share}`)
    }
  }
}
