import { plural, sizeText } from '../../observe/text.js'
import { byId, createElement, createListUpdater, createRow, setOptionalText, setText } from '../dom.js'

/** @typedef {import('../../schemas/peer-report.ts').PeersReport} PeersReport */
/** @typedef {import('../../schemas/peer-report.ts').PeerReport} PeerReport */
/** @typedef {{ zone: string | null, peers: number, taken: number, given: number }} Zone */

const MAX_SHOWN = 500

const section = byId('peers-section')
const summary = byId('peers-summary')
const more = byId('peers-more')
const updateZones = createListUpdater(byId('zones'), ({ zone }) => zone ?? '', createZoneRow)
const updatePeers = createListUpdater(byId('peers'), ({ id }) => id, createPeerItem)

/**
 * Hides the section when the agent is in no swarm.
 *
 * @param {PeersReport | null} peers
 */
export function showPeers(peers) {
  section.hidden = peers === null
  if (peers === null) return
  const { bytes, count, members, self } = peers
  const zone = self.zone === null ? 'in no zone' : `in zone ${self.zone}`
  const traffic = `${sizeText(bytes.in)} received, ${sizeText(bytes.out)} sent`
  setText(summary, `${plural(count, 'peer')}; ${traffic}. This node is ${self.name} ${zone}.`)
  updateZones(zonesOf(members, self.zone))
  updatePeers(members.slice(0, MAX_SHOWN))
  setOptionalText(more, count > MAX_SHOWN ? `and ${count - MAX_SHOWN} more` : '')
}

/**
 * Sums up the peers by zone. The zone of this node comes first.
 *
 * @param {readonly PeerReport[]} members
 * @param {string | null} own
 */
function zonesOf(members, own) {
  /** @type {Map<string | null, Zone>} */
  const zones = new Map()
  for (const { zone, taken, given } of members) {
    const sums = zones.get(zone) ?? { zone, peers: 0, taken: 0, given: 0 }
    sums.peers += 1
    sums.taken += taken
    sums.given += given
    zones.set(zone, sums)
  }
  return [...zones.values()].sort(
    (a, b) => Number(b.zone === own) - Number(a.zone === own) || (a.zone ?? '').localeCompare(b.zone ?? ''),
  )
}

/** @param {Zone} zone */
function createZoneRow({ zone }) {
  const { element, setTexts } = createRow(zone ?? 'none', ['number', 'number', 'number'])
  return {
    element,
    /** @param {Zone} zone */
    update({ peers, taken, given }) {
      setTexts([String(peers), sizeText(taken), sizeText(given)])
    },
  }
}

function createPeerItem() {
  const element = createElement('li')
  return {
    element,
    /** @param {PeerReport} peer */
    update({ name, address, zone, version, understood }) {
      const zoneText = zone === null ? '' : `, zone ${zone}`
      setText(
        element,
        `${name} at ${address}${zoneText}, version ${version}${understood ? '' : ' (incompatible)'}`,
      )
    },
  }
}
