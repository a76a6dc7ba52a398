import type { LanePool } from '../lanes/lane-pool.ts'
import type { Digest } from '../oci/digest.ts'
import type { Want } from '../ports/source.ts'
import type { AvailabilityReport, MemberActivity, SwarmReport } from '../schemas/peer-report.ts'
import { contactOf, Owners } from './client/owners.ts'
import { PeerTransfers } from './client/peer-transfers.ts'
import { SwarmClient } from './client/swarm-client.ts'
import type { PeerCredentials } from './identity/credentials.ts'
import type { Member } from './identity/member.ts'
import type { Pseudonyms } from './identity/pseudonyms.ts'
import type { Membership } from './membership/membership.ts'
import type { Address } from './peer-options.ts'
import { reportActivities, reportContentPeers, reportSwarm } from './peer-report.ts'
import type { LocalNode } from './server/local-node.ts'
import { SwarmServer } from './server/swarm-server.ts'
import { Tracker } from './tracker/tracker.ts'
import { PeerStats } from './transfer/peer-stats.ts'
import type { PeerTransfer } from './transfer/peer-transfer.ts'
import type { ConnectionResources } from './wire/connection/resources.ts'
import { PeerClient, type PeerClientLimits } from './wire/peer-client.ts'

/** The membership of this node itself. Other members see this node from `start` to `stop`. */
export interface OwnMembership extends Membership {
  start(): Promise<void>
  stop(): Promise<void>
}

export interface PeerNetworkOptions {
  readonly credentials: PeerCredentials
  readonly pseudonyms: Pseudonyms
  readonly listen: Address
  readonly resources: ConnectionResources
  readonly lanes: LanePool
  /** `address` is where the peer server listens. */
  readonly createMembership: (address: Address) => OwnMembership
  readonly timeouts?: PeerTimeouts | undefined
}

/** Each value that is left out has its default. */
export interface PeerTimeouts {
  readonly connections?: Partial<PeerClientLimits> | undefined
  /** How long an owner may take to answer when this node opens a tracker session. */
  readonly ownerAnswerMs?: number | undefined
  /** How long either side of a tracker session may be silent. */
  readonly trackerSilenceMs?: number | undefined
  /** How long the answers to "who has this digest" may take. */
  readonly whoHasMs?: number | undefined
  /** How long the answers to "what do you do" may take. */
  readonly activityMs?: number | undefined
  /** The clock by which members are silent or slow, and by which the download rate is measured. */
  readonly now?: (() => number) | undefined
}

/** What there is once this node has joined the swarm. */
interface Joined {
  readonly tracker: Tracker
  readonly transfers: PeerTransfers
  readonly removeListener: () => void
}

/**
 * This node's part of the swarm: the client that asks other members, the server that answers them, and their life.
 * `open` listens, and creates the client. `join` makes this node a member. `leave` says goodbye and ends the server, while
 * this node may still take content from others. `close` ends the rest.
 */
export class PeerNetwork {
  readonly client: SwarmClient
  readonly #membership: OwnMembership
  readonly #server: SwarmServer
  readonly #stats = new PeerStats()
  readonly #timeouts: PeerTimeouts
  readonly #peerClient: PeerClient
  readonly #owners: Owners
  #joined: Joined | undefined
  #leaving: Promise<void> | undefined

  private constructor(
    { credentials, pseudonyms, resources, lanes, timeouts = {} }: PeerNetworkOptions,
    membership: OwnMembership,
    server: SwarmServer,
  ) {
    this.#membership = membership
    this.#server = server
    this.#timeouts = timeouts
    this.#peerClient = new PeerClient({ credentials, resources, lanes, limits: timeouts.connections })
    this.#owners = new Owners(membership)
    const { whoHasMs, activityMs } = timeouts
    const [owners, peerClient] = [this.#owners, this.#peerClient]
    this.client = new SwarmClient({ membership, owners, peerClient, pseudonyms, whoHasMs, activityMs })
  }

  static async open(options: PeerNetworkOptions): Promise<PeerNetwork> {
    const { credentials, listen, resources, createMembership } = options
    const trackerSilenceMs = options.timeouts?.trackerSilenceMs
    const server = new SwarmServer({ listen, credentials, resources, trackerSilenceMs })
    // The server listens first, because the members are told its port, which may be any free one.
    const address = await server.start()
    try {
      const membership = createMembership(address)
      return new PeerNetwork(options, membership, server)
    } catch (error) {
      await server.stop({ drainMs: 0 })
      throw error
    }
  }

  /** This node as the other members see it. */
  get self(): Member {
    return this.#membership.self
  }

  /** Answers the requests of peers from now on, by `node`, and lets the other members know of this node. */
  async join(node: LocalNode): Promise<void> {
    const [membership, stats] = [this.#membership, this.#stats]
    const { localContent } = node
    const tracker = this.#createTracker(node)
    const transfers = new PeerTransfers({
      ...this.#timeouts,
      owners: this.#owners,
      peerClient: this.#peerClient,
      stats,
      localContent,
      tracker,
    })
    const removeListener = membership.onChange(() => {
      stats.update(membership)
      tracker.removeFormerMembers()
    })
    this.#joined = { tracker, transfers, removeListener }
    this.#server.serve({ node, membership, tracker, transfers, tags: this.client.tags, stats })
    stats.update(membership)
    await membership.start()
  }

  /** Gives the peers' part of a flight; undefined while this node has no peers. */
  createTransfer(want: Want): PeerTransfer | undefined {
    return this.#joined?.transfers.create(want)
  }

  report(): SwarmReport {
    return reportSwarm(this.#membership, this.#stats)
  }

  /** Gives undefined when this node has no peers. */
  async whoHas(digest: Digest): Promise<AvailabilityReport | undefined> {
    const found = await this.client.whoHas(digest)
    return found && { ...found, holders: reportContentPeers(found.holders) }
  }

  /** Asks the other members what they do. */
  async askActivities(): Promise<readonly MemberActivity[]> {
    return reportActivities(await this.client.askActivities())
  }

  /** Says goodbye, and lets the exchanges in which peers are given content end for `drainMs`. */
  leave({ drainMs }: { drainMs: number }): Promise<void> {
    this.#leaving ??= this.#leave(drainMs)
    return this.#leaving
  }

  async close(): Promise<void> {
    await this.leave({ drainMs: 0 })
    this.#joined?.transfers.close()
    this.#peerClient.close()
  }

  async #leave(drainMs: number): Promise<void> {
    // The others stop asking before this node stops answering.
    await this.#membership.stop()
    this.#joined?.removeListener()
    this.#joined?.tracker.close()
    await this.#server.stop({ drainMs })
  }

  #createTracker({ localContent }: LocalNode): Tracker {
    const [self, membership] = [this.self, this.#membership]
    return new Tracker({
      self: { contact: contactOf(self), zone: self.zone },
      localContent,
      isMember: (id) => id === self.id || membership.get(id) !== undefined,
      findSeeders: (want) => this.client.findSeeders(want),
      now: this.#timeouts.now,
    })
  }
}
