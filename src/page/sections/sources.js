import { byId, createListUpdater, createRow } from '../dom.js'

/** @typedef {import('../../schemas/status-report.ts').SourceReport} Source */
/** @typedef {Source & { key: string }} KeyedSource */

const section = byId('sources-section')
const updateTable = createListUpdater(byId('sources'), ({ key }) => key, createSourceRow)

/**
 * Hides the section when the agent has no local sources.
 *
 * @param {readonly Source[]} sources
 */
export function showSources(sources) {
  section.hidden = sources.length === 0
  // Two sources may have one name: the same folder under other names of images.
  updateTable(sources.map((source, i) => ({ ...source, key: `${i} ${source.name}` })))
}

/** @param {KeyedSource} source */
function createSourceRow({ name }) {
  const { element, setTexts } = createRow(name, ['number', '', ''])
  return {
    element,
    /** @param {KeyedSource} source */
    update({ repositories, exclusive, problem, hidden = [], compared = true }) {
      setTexts([
        repositories === null ? '' : String(repositories),
        exclusive ? 'yes' : 'no',
        problem === null
          ? `${textOf(hidden)}${compared ? '' : '; not all compared'}`
          : `${repositories === null ? 'not readable' : 'failed'}: ${problem}`,
      ])
    },
  }
}

/** @param {NonNullable<Source['hidden']>} hidden */
function textOf(hidden) {
  const [first] = hidden
  if (first === undefined) return 'ok'
  const more = hidden.length === 1 ? '' : `, and ${hidden.length - 1} more`
  return `ok, but not served: ${first.image} (${first.servedBy} has another one)${more}`
}
