import { plain, plural, sizeText } from '../../observe/text.js'
import { arrowPath, edgesOf, layOut } from './layout.js'

/** @typedef {import('./layout.js').Box} Box */
/** @typedef {import('./layout.js').Edge} Edge */
/** @typedef {import('./layout.js').MemberBox} MemberBox */
/** @typedef {import('../../schemas/peer-report.ts').MemberActivity} Member */

const SVG = 'http://www.w3.org/2000/svg'
const LEAST_WIDTH = 280
const NAME_LENGTH = 18

/**
 * Creates the picture of the swarm: members by zone, and an arrow for each one that brings content to another one now.
 *
 * @param {HTMLElement} container
 */
export function createSwarmPicture(container) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('role', 'img')
  svg.setAttribute('class', 'swarm-picture')
  container.append(svg)
  let shown = ''
  return {
    /** @param {readonly Member[]} members */
    show(members) {
      const width = Math.max(LEAST_WIDTH, container.clientWidth)
      const next = JSON.stringify([width, members])
      if (next === shown) return
      shown = next
      draw(svg, members, width)
    },
  }
}

/**
 * @param {SVGSVGElement} svg
 * @param {readonly Member[]} members
 * @param {number} width
 */
function draw(svg, members, width) {
  const { height, zones, members: boxes, source } = layOut(members, width)
  const edges = edgesOf(members)
  setAttributes(svg, { width, height, viewBox: `0 0 ${width} ${height}` })
  svg.ariaLabel = sentenceOf(members, zones.length, edges)
  const byName = new Map(boxes.map((box) => [box.member.name, box]))
  const isSourceUsed = edges.some(({ from }) => from === null)
  svg.replaceChildren(
    arrowHeads(),
    ...zones.flatMap((zone) => zoneElements(zone)),
    ...edges.flatMap((edge) => {
      const [from, to] = [edge.from === null ? source : byName.get(edge.from), byName.get(edge.to)]
      return from === undefined || to === undefined ? [] : [edgeElement(arrowPath(from, to, boxes), edge)]
    }),
    boxElement(source, isSourceUsed ? 'member source' : 'member source idle'),
    textElement('Registries and buckets', { ...centre(source), 'text-anchor': 'middle', dy: '0.35em' }),
    ...boxes.flatMap(memberElements),
  )
}

/**
 * @param {readonly Member[]} members
 * @param {number} zones
 * @param {readonly Edge[]} edges
 */
function sentenceOf(members, zones, edges) {
  const sum = (/** @type {readonly Edge[]} */ some) => some.reduce((total, { count }) => total + count, 0)
  const between = sum(edges.filter(({ from }) => from !== null))
  const outside = sum(edges.filter(({ from }) => from === null))
  return `${plural(members.length, 'agent')} in ${plural(zones, 'zone')}: ${plural(between, 'transfer')} between agents, ${outside} from registries and buckets`
}

/** @param {MemberBox} box */
function memberElements(box) {
  const { name, self, activity } = box.member
  const { x } = centre(box)
  const title = document.createElementNS(SVG, 'title')
  title.textContent = plain(self ? `${name} (this node)` : name)
  const rectangle = boxElement(box, `member${self ? ' self' : ''}${activity === null ? ' idle' : ''}`)
  rectangle.append(title)
  const short = name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name
  const facts = activity === null ? 'no answer' : `${sizeText(activity.store.bytes)} cached`
  return [
    rectangle,
    textElement(short, { x, y: box.y + 19, 'text-anchor': 'middle' }),
    textElement(facts, { x, y: box.y + 36, 'text-anchor': 'middle', class: 'small' }),
  ]
}

/** @param {import('./layout.js').ZoneBox} zone */
function zoneElements(zone) {
  const name = zone.name === null ? 'No zone' : `Zone ${zone.name}`
  return [boxElement(zone, 'zone'), textElement(name, { x: zone.x + 12, y: zone.y + 18, class: 'small' })]
}

/**
 * @param {string} d
 * @param {Edge} edge
 */
function edgeElement(d, { from, count }) {
  const path = document.createElementNS(SVG, 'path')
  const kind = from === null ? 'upstream' : 'peer'
  setAttributes(path, {
    d,
    class: `edge ${kind}`,
    'stroke-width': Math.min(5, 1 + count),
    'marker-end': `url(#arrow-${kind})`,
  })
  return path
}

/** A line has the colour of its class; an arrow head has its own. */
function arrowHeads() {
  const definitions = document.createElementNS(SVG, 'defs')
  for (const kind of ['peer', 'upstream']) {
    const marker = document.createElementNS(SVG, 'marker')
    setAttributes(marker, {
      id: `arrow-${kind}`,
      viewBox: '0 0 10 10',
      refX: 9,
      refY: 5,
      markerWidth: 11,
      markerHeight: 11,
      markerUnits: 'userSpaceOnUse',
      orient: 'auto',
    })
    const head = document.createElementNS(SVG, 'path')
    setAttributes(head, { d: 'M 0 0 L 10 5 L 0 10 z', class: `arrow ${kind}` })
    marker.append(head)
    definitions.append(marker)
  }
  return definitions
}

/**
 * @param {Box} box
 * @param {string} className
 */
function boxElement({ x, y, width, height }, className) {
  const rectangle = document.createElementNS(SVG, 'rect')
  setAttributes(rectangle, { x, y, width, height, rx: 6, class: className })
  return rectangle
}

/**
 * @param {string} text
 * @param {Readonly<Record<string, string | number>>} attributes
 */
function textElement(text, attributes) {
  const element = document.createElementNS(SVG, 'text')
  setAttributes(element, attributes)
  element.textContent = plain(text)
  return element
}

/** @param {Box} box */
function centre({ x, y, width, height }) {
  return { x: x + width / 2, y: y + height / 2 }
}

/**
 * @param {Element} element
 * @param {Readonly<Record<string, string | number>>} attributes
 */
function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
}
