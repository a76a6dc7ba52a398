import type { HoldersReport, PeersReport } from '../schemas/peer-report.ts'
import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Membership } from './membership/membership.ts'
import { addressOf, type Roster } from './transfer/peer-stats.ts'
import type { Found } from './transfer/who-has.ts'

/** This agent and its peers, in the shape of the admin API. */
export function reportPeers(membership: Membership, roster: Roster): Pick<PeersReport, 'self' | 'members'> {
  const members = roster.all().map(({ member, since, taken, given }) => {
    const { id, version, protocol } = member
    return {
      id,
      ...agentReport(member),
      version,
      understood: protocol === PEER_PROTOCOL,
      load: membership.get(id)?.load ?? 0,
      since: new Date(since).toISOString(),
      taken,
      given,
    }
  })
  return { self: agentReport(membership.self), members }
}

export function reportHolders(found: readonly Found[]): HoldersReport['holders'] {
  return found.map(({ member, position, whole }) => ({ ...agentReport(member), position, whole }))
}

function agentReport(member: Member): PeersReport['self'] {
  const { name, zone = null } = member
  return { name, address: addressOf(member), zone }
}
