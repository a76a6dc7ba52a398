import type { AgentReport, ContentPeerReport, SwarmReport } from '../schemas/peer-report.ts'
import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Membership } from './membership/membership.ts'
import { addressOf, type PeerStats } from './transfer/peer-stats.ts'
import type { ContentLocation } from './transfer/who-has.ts'

/** Describes the swarm as the admin API does: this agent and its peers. */
export function reportSwarm(membership: Membership, peerStats: PeerStats): SwarmReport {
  const members = peerStats.list().map(({ member, since, takenBytes, givenBytes }) => {
    const { id, version, protocol } = member
    return {
      id,
      ...agentReport(member),
      version,
      understood: protocol === PEER_PROTOCOL,
      since: new Date(since).toISOString(),
      taken: takenBytes,
      given: givenBytes,
    }
  })
  return { self: agentReport(membership.self), members }
}

export function reportContentPeers(found: readonly ContentLocation[]): ContentPeerReport[] {
  return found.map(({ member, position, whole }) => ({ ...agentReport(member), position, whole }))
}

function agentReport(member: Member): AgentReport {
  const { name, zone = null } = member
  return { name, address: addressOf(member), zone }
}
