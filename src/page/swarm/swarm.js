import { plural, sizeText } from '../../observe/text.js'
import { fetchJson } from '../api.js'
import { byId, createElement, createListUpdater, createRow, setText } from '../dom.js'
import { totalBytes } from '../sections/byte-sources.js'
import { edgesOf } from './layout.js'
import { createSwarmPicture } from './picture.js'

/** @typedef {import('../../schemas/peer-report.ts').SwarmActivityReport} SwarmActivityReport */
/** @typedef {import('../../schemas/peer-report.ts').ActivityReport} ActivityReport */
/** @typedef {import('./layout.js').Edge} Edge */
/** @typedef {{ name: string, of: (activities: readonly ActivityReport[]) => string }} Figure */

const PAUSE_MS = 2000

const section = byId('swarm-section')
const summary = byId('swarm-summary')
const wholeHead = byId('swarm-whole')
const picture = createSwarmPicture(byId('swarm-picture'))
const updateEdges = createListUpdater(byId('swarm-edges'), ({ from, to }) => `${from} ${to}`, createEdgeItem)
const noEdges = byId('swarm-edges-none')

/** @type {readonly Figure[]} */
const FIGURES = [
  { name: 'Served to clients', of: sizeOf(({ served }) => totalBytes(served)) },
  { name: 'From registries', of: sizeOf(({ fetched }) => fetched.upstream) },
  { name: 'From the object store', of: sizeOf(({ fetched }) => fetched.objectStore) },
  { name: 'From peers', of: sizeOf(({ fetched }) => fetched.peer) },
  { name: 'Cached', of: sizeOf(({ store }) => store.bytes) },
  {
    name: 'Images kept warm',
    of: (all) => {
      const stored = sum(all, ({ warm }) => warm.stored)
      return `${stored} of ${stored + sum(all, ({ warm }) => warm.missing)}`
    },
  },
  { name: 'Transfers in progress', of: (all) => String(sum(all, ({ transfers }) => transfers.length)) },
]
const updateFigures = createListUpdater(byId('swarm-figures'), ({ name }) => name, createFigureRow)

let nextFetchAt = 0

/**
 * Asks the agent about the swarm again when the last answer is two seconds old. Hides the section when the agent is in no
 * swarm.
 *
 * @param {boolean} isMember
 * @param {{ signal: AbortSignal }} options
 */
export async function showSwarm(isMember, { signal }) {
  section.hidden = !isMember
  if (!isMember || performance.now() < nextFetchAt) return
  nextFetchAt = performance.now() + PAUSE_MS
  const report = /** @type {SwarmActivityReport} */ (await fetchJson('api/v1/swarm', { signal }))
  show(report)
}

/** @param {SwarmActivityReport} report */
function show({ count, members }) {
  const answered = members.flatMap(({ activity }) => activity ?? [])
  const own = members.filter(({ self }) => self).flatMap(({ activity }) => activity ?? [])
  const silent = members.length - answered.length
  const unasked = count + 1 - members.length
  const without = [
    silent === 0 ? '' : `${silent} did not answer`,
    unasked === 0 ? '' : `${unasked} were not asked`,
  ].filter((text) => text !== '')
  setText(
    summary,
    `${plural(count + 1, 'agent')}${without.length === 0 ? '' : `; ${without.join(', ')}`}. Bytes count since the start of each agent.`,
  )
  setText(wholeHead, without.length === 0 ? 'Whole swarm' : `${answered.length} of ${count + 1} agents`)
  picture.show(members)
  updateFigures(FIGURES.map((figure) => ({ ...figure, own, answered })))
  const edges = edgesOf(members)
  noEdges.hidden = edges.length > 0
  updateEdges(edges)
}

/** @param {Figure} figure */
function createFigureRow({ name }) {
  const { element, setTexts } = createRow(name, ['number', 'number'])
  return {
    element,
    /** @param {Figure & { own: readonly ActivityReport[], answered: readonly ActivityReport[] }} figure */
    update({ of, own, answered }) {
      setTexts([of(own), of(answered)])
    },
  }
}

function createEdgeItem() {
  const element = createElement('li')
  return {
    element,
    /** @param {Edge} edge */
    update({ from, to, count }) {
      setText(element, `${to}: ${plural(count, 'transfer')} from ${from ?? 'registries and buckets'}`)
    },
  }
}

/** @param {(activity: ActivityReport) => number} bytesOf */
function sizeOf(bytesOf) {
  return (/** @type {readonly ActivityReport[]} */ all) => sizeText(sum(all, bytesOf))
}

/**
 * @param {readonly ActivityReport[]} all
 * @param {(activity: ActivityReport) => number} amountOf
 */
function sum(all, amountOf) {
  return all.reduce((total, one) => total + amountOf(one), 0)
}
