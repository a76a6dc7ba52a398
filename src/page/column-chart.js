import { createElement, setText } from './dom.js'

/** @typedef {{ className: string, value: number }} Part */

/**
 * Creates a chart of columns, each with parts on top of one another, and a sentence that says the same for those who do not
 * see the chart.
 *
 * @param {HTMLElement} container
 * @param {string} title
 */
export function createColumnChart(container, title) {
  const highest = createElement('p', 'chart-scale')
  const plot = createElement('div', 'plot')
  plot.setAttribute('role', 'img')
  const caption = createElement('figcaption', '', title)
  container.append(createElement('figure', 'chart', caption, highest, plot))
  return {
    /**
     * @param {readonly (readonly Part[])[]} columns
     * @param {{ most: number, mostText: string, sentence: string }} texts `most` is the value of a full column
     */
    show(columns, { most, mostText, sentence }) {
      setText(highest, mostText)
      if (plot.ariaLabel !== `${title}: ${sentence}`) plot.ariaLabel = `${title}: ${sentence}`
      while (plot.children.length > columns.length) plot.lastElementChild?.remove()
      for (const [i, parts] of columns.entries()) {
        const column = plot.children[i] ?? plot.appendChild(createElement('div'))
        showParts(column, parts, most)
      }
    },
  }
}

/**
 * @param {Element} column
 * @param {readonly Part[]} parts
 * @param {number} most
 */
function showParts(column, parts, most) {
  while (column.children.length > parts.length) column.lastElementChild?.remove()
  for (const [i, { className, value }] of parts.entries()) {
    const part = /** @type {HTMLElement} */ (column.children[i] ?? column.appendChild(createElement('span')))
    if (part.className !== className) part.className = className
    const height = `${most === 0 ? 0 : (100 * value) / most}%`
    if (part.style.height !== height) part.style.height = height
  }
}
