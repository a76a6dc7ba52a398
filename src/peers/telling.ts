import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Membership } from './membership/membership.ts'
import { addressOf, type Roster } from './transfer/peer-stats.ts'
import type { Found } from './transfer/who-has.ts'

/** An agent of the swarm, as people are told of it. */
export interface PlaceTold {
  readonly name: string
  readonly address: string
  readonly zone: string | undefined
}

export interface PeerTold extends PlaceTold {
  readonly id: string
  readonly version: string
  readonly isUnderstood: boolean
  /** As it said last. */
  readonly load: number
  readonly since: number
  readonly taken: number
  readonly given: number
}

export interface PeersTold {
  readonly self: PlaceTold
  readonly members: readonly PeerTold[]
}

export interface OwnerTold {
  readonly name: string
  readonly isSelf: boolean
}

export interface HoldersTold {
  readonly owner: OwnerTold
  readonly asked: number
  readonly answered: number
  readonly holders: readonly (PlaceTold & { readonly position: number; readonly isWhole: boolean })[]
}

export function tellPeers(membership: Membership, roster: Roster): PeersTold {
  const members = roster.all().map(({ member, since, taken, given }) => {
    const { id, version, protocol } = member
    return {
      ...placeOf(member),
      id,
      version,
      isUnderstood: protocol === PEER_PROTOCOL,
      load: membership.get(id)?.load ?? 0,
      since,
      taken,
      given,
    }
  })
  return { self: placeOf(membership.self), members }
}

export function tellFound(found: readonly Found[]): HoldersTold['holders'] {
  return found.map(({ member, position, whole }) => ({ ...placeOf(member), position, isWhole: whole }))
}

function placeOf(member: Member): PlaceTold {
  const { name, zone } = member
  return { name, address: addressOf(member), zone }
}
