import type { AgentReport, ContentPeerReport, MemberActivity, SwarmReport } from '../schemas/peer-report.ts'
import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Membership } from './membership/membership.ts'
import type { AskedActivity } from './sharing/request-activity.ts'
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
  const taking = [...peerStats.underWay()].flatMap(({ direction, digest, name }) =>
    direction === 'taken' ? [{ digest, from: name }] : [],
  )
  return { self: agentReport(membership.self), members, taking }
}

export function reportActivities(asked: readonly AskedActivity[]): MemberActivity[] {
  return asked.map(({ member, activity = null }) => ({ ...agentReport(member), self: false, activity }))
}

export function reportContentPeers(found: readonly ContentLocation[]): ContentPeerReport[] {
  return found.map(({ member, position, whole }) => ({ ...agentReport(member), position, whole }))
}

function agentReport(member: Member): AgentReport {
  const { name, zone = null } = member
  return { name, address: addressOf(member), zone }
}
