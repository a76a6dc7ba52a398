/** @typedef {import('../../schemas/peer-report.ts').MemberActivity} Member */
/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {Box & { member: Member }} MemberBox */
/** @typedef {Box & { name: string | null }} ZoneBox */
/** @typedef {{ from: string | null, to: string, count: number }} Edge `from` is null for a registry or a bucket */

const MEMBER = { width: 150, height: 46 }
const GAP = 34
const ZONE_HEAD = 26
const ZONE_PADDING = 14
const SOURCE = { width: 190, height: 34 }

/**
 * Places the members of each zone in a box of its own, in as many columns as fit into the width. The zone of the first member,
 * which is this node, comes first.
 *
 * @param {readonly Member[]} members
 * @param {number} width
 * @returns {{ width: number, height: number, zones: ZoneBox[], members: MemberBox[], source: Box }}
 */
export function layOut(members, width) {
  const inner = width - 2 * ZONE_PADDING
  const columns = Math.max(1, Math.floor((inner + GAP) / (MEMBER.width + GAP)))
  const step = columns === 1 ? 0 : (inner - MEMBER.width) / (columns - 1)
  const source = { ...SOURCE, x: (width - SOURCE.width) / 2, y: 1 }
  /** @type {ZoneBox[]} */
  const zones = []
  /** @type {MemberBox[]} */
  const boxes = []
  let y = SOURCE.height + GAP
  for (const [name, inZone] of byZone(members)) {
    const rows = Math.ceil(inZone.length / columns)
    const height = ZONE_HEAD + rows * MEMBER.height + (rows - 1) * GAP + ZONE_PADDING
    zones.push({ name, x: 1, y, width: width - 2, height })
    for (const [i, member] of inZone.entries()) {
      const row = Math.floor(i / columns)
      boxes.push({
        ...MEMBER,
        member,
        x: ZONE_PADDING + (i % columns) * Math.min(step, MEMBER.width + 2 * GAP),
        y: y + ZONE_HEAD + row * (MEMBER.height + GAP),
      })
    }
    y += height + GAP
  }
  return { width, height: y - GAP + 1, zones, members: boxes, source }
}

/**
 * @param {readonly Member[]} members
 * @returns {Map<string | null, Member[]>}
 */
function byZone(members) {
  /** @type {Map<string | null, Member[]>} */
  const zones = new Map()
  for (const member of members) zones.set(member.zone, [...(zones.get(member.zone) ?? []), member])
  return zones
}

/**
 * Gives who brings content to whom now. A member that was not asked is no box, so it is drawn as a source outside.
 *
 * @param {readonly Member[]} members
 * @returns {Edge[]}
 */
export function edgesOf(members) {
  const names = new Set(members.map(({ name }) => name))
  /** @type {Map<string, Edge>} */
  const edges = new Map()
  for (const { name, activity } of members) {
    for (const { from, isPeer } of activity?.transfers ?? []) {
      if (from === null || from === name || (from === 'peers' && !isPeer)) continue
      const source = isPeer && names.has(from) ? from : null
      const key = `${source ?? ''}\n${name}`
      const edge = edges.get(key) ?? { from: source, to: name, count: 0 }
      edge.count += 1
      edges.set(key, edge)
    }
  }
  return [...edges.values()]
}

/**
 * Gives the point at which the line from the middle of `from` to the middle of `to` enters `to`.
 *
 * @param {Box} from
 * @param {Box} to
 */
function entryPoint(from, to) {
  const [start, end] = [middle(from), middle(to)]
  const [dx, dy] = [start.x - end.x, start.y - end.y]
  const scale = Math.min(
    dx === 0 ? Number.POSITIVE_INFINITY : to.width / 2 / Math.abs(dx),
    dy === 0 ? Number.POSITIVE_INFINITY : to.height / 2 / Math.abs(dy),
  )
  return Number.isFinite(scale) ? { x: end.x + dx * scale, y: end.y + dy * scale } : end
}

/** @param {Box} box */
function middle({ x, y, width, height }) {
  return { x: x + width / 2, y: y + height / 2 }
}

/**
 * Gives the path of an arrow, as SVG has it. An arrow that would pass behind another box of its row or column goes around it.
 *
 * @param {Box} from
 * @param {Box} to
 * @param {readonly Box[]} others
 */
export function arrowPath(from, to, others) {
  const [start, end] = [entryPoint(to, from), entryPoint(from, to)]
  const [one, other] = [middle(from), middle(to)]
  const between = others.filter((box) => {
    const { x, y } = middle(box)
    return box !== from && box !== to && isBetween(x, one.x, other.x) && isBetween(y, one.y, other.y)
  })
  if (between.length === 0 || (one.x !== other.x && one.y !== other.y))
    return `M ${start.x} ${start.y} L ${end.x} ${end.y}`
  if (one.x === other.x) {
    const x = from.x + from.width
    return `M ${x} ${one.y} Q ${x + 40 + 15 * between.length} ${(one.y + other.y) / 2} ${x} ${other.y}`
  }
  return `M ${one.x} ${from.y} Q ${(one.x + other.x) / 2} ${from.y - GAP} ${other.x} ${to.y}`
}

/**
 * @param {number} value
 * @param {number} one
 * @param {number} other
 */
function isBetween(value, one, other) {
  return value >= Math.min(one, other) && value <= Math.max(one, other)
}
