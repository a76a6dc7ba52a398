import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Want } from '../../ports/source.ts'
import type { OwnerReport } from '../../schemas/peer-report.ts'
import type { Member } from '../identity/member.ts'
import type { Pseudonyms } from '../identity/pseudonyms.ts'
import type { Membership } from '../membership/membership.ts'
import { type AskedActivity, askActivities } from '../sharing/request-activity.ts'
import { type WarmTargets, warmTargetsOf } from '../sharing/request-warming.ts'
import { RateLimitSharing } from '../sharing/share-rate-limits.ts'
import type { JoinRequest } from '../tracker/session.ts'
import { askWhoHas, type ContentLocation } from '../transfer/who-has.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { contactOf, type Owners } from './owners.ts'
import { TagRequests, tagKey } from './tag-requests.ts'

/**
 * Before an owner has upstream asked, it asks this many members below it in the order of the digest whether they have the
 * content. They were the owner before the last changes of the membership.
 */
const FORMER_OWNERS = 2
/** How many members are asked when an operator wants to know who has a digest, or what the members do. */
const MAX_ASKED = 64

export interface SwarmClientOptions {
  readonly membership: Membership
  readonly owners: Owners
  readonly peerClient: PeerClient
  readonly pseudonyms: Pseudonyms
  /** How long the answers to "who has this digest" may take. */
  readonly whoHasMs?: number | undefined
  /** How long the answers to "what do you do" may take. */
  readonly activityMs?: number | undefined
}

/** Which members say that they have a digest. */
export interface WhoHasAnswer {
  readonly owner: OwnerReport
  readonly asked: number
  readonly answered: number
  readonly holders: readonly ContentLocation[]
}

/** Sends requests to other members. The client exists before the node has joined the swarm, when it knows no members yet. */
export class SwarmClient {
  readonly rateLimits: RateLimitSharing
  readonly tags: TagRequests
  readonly #options: SwarmClientOptions

  constructor(options: SwarmClientOptions) {
    this.#options = options
    this.rateLimits = new RateLimitSharing(options.pseudonyms, options.membership.notices)
    this.tags = new TagRequests(options.owners, options.peerClient)
  }

  /** Asks the members that most likely have the digest. Gives undefined when this node has no peers. */
  async whoHas(digest: Digest): Promise<WhoHasAnswer | undefined> {
    const { owners, peerClient, whoHasMs } = this.#options
    const owner = this.#ownerOf(digest)
    if (owner === undefined) return undefined
    const peers = owners.firstPeers(digest, MAX_ASKED)
    const { answeredCount, holders } = await askWhoHas(peerClient, digest, undefined, peers, whoHasMs)
    return { owner, asked: peers.length, answered: answeredCount, holders }
  }

  /** Gives the former owners of the digest that have the whole content, as seeders. */
  async findSeeders({ digest, kind, repository }: Want): Promise<readonly JoinRequest[]> {
    const { owners, peerClient, whoHasMs } = this.#options
    const peers = owners.firstPeers(digest, FORMER_OWNERS)
    const { holders } = await askWhoHas(peerClient, digest, { kind, repository }, peers, whoHasMs)
    return holders.flatMap(({ member, position, whole }) =>
      whole ? [{ contact: contactOf(member), zone: member.zone, position, whole }] : [],
    )
  }

  /** Gives undefined when this node has no peers. */
  tagOwner(repository: Repository, tag: string): OwnerReport | undefined {
    return this.#ownerOf(tagKey(repository, tag))
  }

  /** Asks the first members by name what they do. */
  askActivities(): Promise<readonly AskedActivity[]> {
    const { membership, peerClient, activityMs } = this.#options
    const asked = [...membership.others()].sort(byName).slice(0, MAX_ASKED)
    return askActivities(peerClient, asked, activityMs)
  }

  /** Whether this node does the work that belongs to the key. It does while it has no peers. */
  owns(key: string): boolean {
    const { owners } = this.#options
    return owners.first(key, 1)[0]?.id === owners.self.id
  }

  /** Gives this node and the members that can be asked to warm images. */
  warmTargets(): WarmTargets {
    return warmTargetsOf(this.#options.membership, this.#options.peerClient)
  }

  #ownerOf(key: string): OwnerReport | undefined {
    const { owners } = this.#options
    const [owner] = owners.first(key, 1)
    if (owner === undefined || !owners.hasPeers) return undefined
    return { name: owner.name, self: owner.id === owners.self.id }
  }
}

function byName({ name: one }: Member, { name: other }: Member): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
