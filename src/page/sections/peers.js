import { plural, sizeText } from '../../observe/text.js'
import { byId, keeper, make, say, sayOrHide, tableRow } from '../dom.js'

/** @typedef {import('../../schemas/peer-report.ts').PeersReport} Peers */
/** @typedef {import('../../schemas/peer-report.ts').PeerReport} Peer */
/** @typedef {{ zone: string | null, peers: number, taken: number, given: number }} Zone */

const MOST = 500

const section = byId('peers-section')
const sum = byId('peers-sum')
const more = byId('peers-more')
const showZones = keeper(byId('zones'), ({ zone }) => zone ?? '', beginZone)
const showMembers = keeper(byId('peers'), ({ id }) => id, beginPeer)

/**
 * Left out when the agent has no peers to tell of.
 *
 * @param {Peers | null} peers
 */
export function showPeers(peers) {
  section.hidden = peers === null
  if (peers === null) return
  const { bytes, count, members, self } = peers
  const where = self.zone === null ? 'which has no zone' : `in zone ${self.zone}`
  say(
    sum,
    `This node is ${self.name}, ${where}; it has ${plural(count, 'peer')}, has had ${sizeText(bytes.in)} from them and given them ${sizeText(bytes.out)}.`,
  )
  showZones(zonesOf(members, self.zone))
  showMembers(members.slice(0, MOST))
  sayOrHide(more, count > MOST ? `and ${count - MOST} more` : '')
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
  for (const { zone, taken, given } of members) {
    const found = zones.get(zone) ?? { zone, peers: 0, taken: 0, given: 0 }
    found.peers += 1
    found.taken += taken
    found.given += given
    zones.set(zone, found)
  }
  return [...zones.values()].sort(
    (a, b) => Number(b.zone === own) - Number(a.zone === own) || (a.zone ?? '').localeCompare(b.zone ?? ''),
  )
}

/** @param {Zone} zone */
function beginZone({ zone }) {
  const { element, fill } = tableRow(zone ?? 'none', ['number', 'number', 'number'])
  return {
    element,
    /** @param {Zone} now */
    update({ peers, taken, given }) {
      fill([String(peers), sizeText(taken), sizeText(given)])
    },
  }
}

function beginPeer() {
  const element = make('li')
  return {
    element,
    /** @param {Peer} peer */
    update({ name, address, zone, version, understood }) {
      const where = zone === null ? '' : `, zone ${zone}`
      const what = understood ? version : `${version}, which is not understood here`
      say(element, `${name} at ${address}${where}, ${what}`)
    },
  }
}
