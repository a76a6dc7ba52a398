import { plural, sizeText } from '../observe/words.js'
import { byId, keeper, make, say, sayOrHide, tableRow } from './dom.js'

/** @typedef {{ name: string, zone: string | null, connected: boolean }} Peer */
/** @typedef {{ zone: string | null, bytes: { in: number, out: number }, members: readonly Peer[] }} Peers */
/** @typedef {{ zone: string | null, peers: number, connected: number }} Zone */

const MOST = 500

const section = byId('peers-section')
const sum = byId('peers-sum')
const more = byId('peers-more')
const showZones = keeper(byId('zones'), ({ zone }) => zone ?? '', beginZone)
const showMembers = keeper(byId('peers'), ({ name }) => name, beginPeer)

/**
 * Left out when the agent has no peers to tell of.
 *
 * @param {Peers | null | undefined} peers
 */
export function showPeers(peers) {
  section.hidden = peers === null || peers === undefined
  if (peers === null || peers === undefined) return
  const { bytes, members, zone } = peers
  const connected = members.filter((member) => member.connected).length
  const where = zone === null ? 'This node has no zone' : `This node is in zone ${zone}`
  say(
    sum,
    `${where}; it knows ${plural(members.length, 'peer')}, is connected to ${connected}, has had ${sizeText(bytes.in)} from them and given them ${sizeText(bytes.out)}.`,
  )
  showZones(zonesOf(members, zone))
  showMembers(members.slice(0, MOST))
  sayOrHide(more, members.length > MOST ? `and ${members.length - MOST} more` : '')
}

/**
 * The node's own first.
 *
 * @param {readonly Peer[]} members
 * @param {string | null} own
 */
function zonesOf(members, own) {
  /** @type {Map<string | null, Zone>} */
  const zones = new Map()
  for (const { zone, connected } of members) {
    const found = zones.get(zone) ?? { zone, peers: 0, connected: 0 }
    found.peers += 1
    if (connected) found.connected += 1
    zones.set(zone, found)
  }
  return [...zones.values()].sort(
    (a, b) => Number(b.zone === own) - Number(a.zone === own) || (a.zone ?? '').localeCompare(b.zone ?? ''),
  )
}

/** @param {Zone} zone */
function beginZone({ zone }) {
  const { element, fill } = tableRow(zone ?? 'none', ['number', 'number'])
  return {
    element,
    /** @param {Zone} now */
    update({ peers, connected }) {
      fill([String(peers), String(connected)])
    },
  }
}

function beginPeer() {
  const element = make('li')
  return {
    element,
    /** @param {Peer} peer */
    update({ name, zone, connected }) {
      say(element, `${name}${zone === null ? '' : `, zone ${zone}`}, ${connected ? '' : 'not '}connected`)
    },
  }
}
