import { createHash } from 'node:crypto'
import type { MemberId } from '../../../src/peers/identity/member.ts'
import { OwnerRanking } from '../../../src/peers/membership/owner-ranking.ts'
import type { DeliveryPlan } from '../../../src/peers/tracker/delivery-plan.ts'
import type { SimulatedMembers } from './simulated-members.ts'
import { NO_SOURCE } from './transfers.ts'

/** A layer, and the delivery plan of its present owner. */
export interface Layer {
  readonly index: number
  readonly digest: string
  readonly size: number
  owner: number
  plan: DeliveryPlan | undefined
  isTakeover: boolean
  /** Goes up with each new owner, so that messages to or from a former owner can be ignored. */
  term: number
}

export function layersOf(sizes: readonly number[], seed: number): readonly Layer[] {
  return sizes.map((size, index) => ({
    index,
    digest: `sha256:${createHash('sha256').update(`${seed} ${index}`).digest('hex')}`,
    size,
    owner: NO_SOURCE,
    plan: undefined,
    isTakeover: false,
    term: 0,
  }))
}

/** The first live member in rank owns a layer. Returns the layers whose former owner is gone. */
export function electOwners(layers: readonly Layer[], members: SimulatedMembers): Layer[] {
  const ranking = new OwnerRanking(members.live.map((member) => members.id(member)))
  return layers.filter((layer) => {
    const owner = members.index(ranking.owner(layer.digest) as MemberId)
    if (owner === layer.owner) return false
    layer.isTakeover = layer.owner !== NO_SOURCE
    layer.owner = owner
    layer.plan = undefined
    layer.term += 1
    return layer.isTakeover
  })
}
