import type { HoldersReport, PeersReport } from '../schemas/peer-report.ts'
import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Membership } from './membership/membership.ts'
import { addressOf, type PeerStats } from './transfer/peer-stats.ts'
import type { ContentHolder } from './transfer/who-has.ts'

/** This agent and its peers, in the shape of the admin API. */
export function reportPeers(
  membership: Membership,
  peerStats: PeerStats,
): Pick<PeersReport, 'self' | 'members'> {
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

export function reportHolders(holders: readonly ContentHolder[]): HoldersReport['holders'] {
  return holders.map(({ member, position, whole }) => ({ ...agentReport(member), position, whole }))
}

function agentReport(member: Member): PeersReport['self'] {
  const { name, zone = null } = member
  return { name, address: addressOf(member), zone }
}
