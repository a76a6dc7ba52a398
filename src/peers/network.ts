import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { TagHead, TagRequestOptions } from '../ports/registry.ts'
import type { VouchedIntake, Want } from '../ports/source.ts'
import type { AvailabilityReport, OwnerReport, SwarmReport } from '../schemas/peer-report.ts'
import type { PeerCredentials } from './identity/credentials.ts'
import { type Member, PEER_PROTOCOL } from './identity/member.ts'
import type { Pseudonyms } from './identity/pseudonyms.ts'
import type { Membership } from './membership/membership.ts'
import { OwnerRanking } from './membership/owner-ranking.ts'
import { reportContentPeers, reportSwarm } from './peer-report.ts'
import { answerWarming } from './sharing/answer-warming.ts'
import { type WarmTargets, warmTargetsOf } from './sharing/request-warming.ts'
import { RateLimitSharing } from './sharing/share-rate-limits.ts'
import type { WarmImages } from './sharing/warm-exchange.ts'
import type { JoinRequest } from './tracker/session.ts'
import { Tracker } from './tracker/tracker.ts'
import { downloadFrom } from './transfer/download.ts'
import { DownloadRate } from './transfer/download-rate.ts'
import { PeerStats } from './transfer/peer-stats.ts'
import { PeerTransfer } from './transfer/peer-transfer.ts'
import { serveContent } from './transfer/serve.ts'
import { localTracker, remoteTracker, type TrackerEndpoint } from './transfer/tracker-endpoint.ts'
import { askWhoHas, requestOnce } from './transfer/who-has.ts'
import type { ConnectionResources } from './wire/connection/connection.ts'
import type { PeerExchange } from './wire/exchange.ts'
import { PeerClient, type PeerClientLimits } from './wire/peer-client.ts'
import { PeerServer } from './wire/peer-server.ts'
import {
  type Contact,
  PeerRequest,
  Progress,
  parseMessage,
  refusalOf,
  TagAnswer,
} from './wire/protocol/messages.ts'

/** What peers may ask of this node. */
export interface Node {
  readonly holdings: LocalContent
  /** What a tag is now, as this node serves it; asks upstream where it must. */
  tag(repository: Repository, tag: string, asking: TagRequestOptions): Promise<TagHead>
  /** It may be pulled through this node. */
  allowed(repository: Repository): boolean
  /** Peers have told something of this host: see `rateLimits`. */
  heard(host: string): void
  /** As far as this node allows it. */
  readonly warm: WarmImages
}

export interface PeerNetworkOptions {
  readonly credentials: PeerCredentials
  readonly pseudonyms: Pseudonyms
  readonly listen: { readonly host: string; readonly port: number }
  readonly traffic: ConnectionResources
  readonly node: Node
  readonly patience?: Patience | undefined
}

/** Deadlines of questions to other members; what is left out has its default. */
export interface Patience {
  readonly dial?: Partial<PeerClientLimits> | undefined
  /** For the owner's answer to a member that wants its digest. */
  readonly ownerMs?: number | undefined
  /** Between two messages of an owner and a member that wants its digest. */
  readonly silenceMs?: number | undefined
  /** For the answer to whether a member has a digest. */
  readonly whoHasMs?: number | undefined
  /** The clock that tells which members are silent or slow, and how fast this node receives. */
  readonly now?: (() => number) | undefined
}

/** So many ranks below the owner are asked whether they have it, before upstream is: they were the owner before the last changes. */
const FORMER_OWNERS = 2
/** When a person wants to know who has it. */
const MOST_ASKED = 64
/** So many owners are tried for one digest. */
const OWNERS = 4
/** For a tag the owner may have to ask upstream first. */
const TAG_MS = 8000
const SILENCE_MS = 6000

/** What there is once this agent is one of a swarm. */
interface Joined {
  readonly membership: Membership
  readonly tracker: Tracker
  readonly unlisten: () => void
}

/** The other agents of the swarm, as a place to get content and tags from, and this agent as it serves them. */
export class PeerNetwork {
  readonly #node: Node
  readonly #dialer: PeerClient
  readonly #door: PeerServer
  readonly #roster = new PeerStats()
  readonly #reception: DownloadRate
  readonly #patience: Patience
  /** Of what registries allow. */
  readonly rateLimits: RateLimitSharing
  #joined: Joined | undefined
  #ranking: OwnerRanking | undefined
  /** Transfers under way. */
  readonly #participations = new Map<Digest, PeerTransfer>()
  /** Tags that are being asked for elsewhere. */
  readonly #asking = new Set<string>()

  constructor({ credentials, pseudonyms, listen, traffic, node, patience = {} }: PeerNetworkOptions) {
    this.#node = node
    this.#patience = patience
    this.#reception = new DownloadRate(patience.now)
    this.#dialer = new PeerClient({ credentials, resources: traffic, limits: patience.dial })
    this.rateLimits = new RateLimitSharing(pseudonyms, () => this.#joined?.membership.notices)
    this.#door = new PeerServer({
      listen,
      credentials,
      resources: traffic,
      memberOf: (fingerprint) =>
        this.#joined?.membership.others().find((member) => member.fingerprint === fingerprint),
      onExchange: (first, line) => this.#answer(first, line),
    })
  }

  /** Where it listens, which is what others are to be told by membership. */
  listen(): Promise<{ host: string; port: number }> {
    return this.#door.start()
  }

  join(membership: Membership): void {
    const { self } = membership
    const tracker = new Tracker({
      self: { contact: contactOf(self), zone: self.zone },
      localContent: this.#node.holdings,
      isMember: (id) => id === self.id || membership.get(id) !== undefined,
      findSeeders: (want) => this.#formerOwners(want),
      now: this.#patience.now,
    })
    this.#roster.update(membership)
    const unlisten = membership.onChange(() => {
      this.#ranking = undefined
      this.#roster.update(membership)
      tracker.removeFormerMembers()
    })
    const unhear = membership.notices.onReceived((host) => this.#node.heard(host))
    this.#joined = {
      membership,
      tracker,
      unlisten: () => {
        unlisten()
        unhear()
      },
    }
  }

  /** Answers no more, but what it has begun. */
  async leave({ drainMs }: { drainMs: number }): Promise<void> {
    this.#joined?.unlisten()
    this.#joined?.tracker.close()
    await this.#door.stop({ drainMs })
  }

  /** Asks no more. */
  close(): void {
    for (const participation of [...this.#participations.values()]) participation.close()
    this.#dialer.close()
  }

  /** Undefined while there is nobody else. */
  participate(want: Want): PeerTransfer | undefined {
    const joined = this.#joined
    if (joined === undefined || this.#peers(joined).length === 0) return undefined
    const { self } = joined.membership
    const participation: PeerTransfer = new PeerTransfer({
      want,
      self: { contact: contactOf(self), zone: self.zone },
      localContent: this.#node.holdings,
      trackers: () => this.#tables(joined, want),
      download: (parent, intake, signal) => this.#take(parent, want, intake, signal),
      downloadRate: this.#reception,
      onBegin: () => this.#participations.set(want.digest, participation),
      onEnd: () => {
        if (this.#participations.get(want.digest) === participation) this.#participations.delete(want.digest)
      },
    })
    return participation
  }

  /** What the owner of a tag says that it is; undefined when that is this node, or nobody who answers. */
  async tag(
    repository: Repository,
    tag: string,
    { signal }: { signal: AbortSignal },
  ): Promise<TagHead | undefined> {
    const [owner] = this.#owners(tagKey(repository, tag), 1)
    return owner && this.#askTag(owner, repository, tag, { signal })
  }

  /** The same from who would be its owner if there were neither the owner nor this node, and who may be waiting for either. */
  async tagOfAnother(
    repository: Repository,
    tag: string,
    { signal }: { signal: AbortSignal },
  ): Promise<TagHead | undefined> {
    const [owner, ...others] = this.#owners(tagKey(repository, tag), 3)
    const another = others.find(({ id }) => id !== this.#joined?.membership.self.id)
    return owner && another && this.#askTag(another, repository, tag, { signal, isUpstreamOnly: true })
  }

  async #askTag(
    owner: Member,
    repository: Repository,
    tag: string,
    { signal, isUpstreamOnly }: TagRequestOptions,
  ): Promise<TagHead | undefined> {
    const key = tagKey(repository, tag)
    if (owner.id === this.#joined?.membership.self.id) return undefined
    // Who asks upstream for this node waits for nobody.
    if (!isUpstreamOnly) this.#asking.add(key)
    try {
      const asked = { ask: 'tag', repository, tag, firsthand: isUpstreamOnly }
      const answer = parseMessage(
        TagAnswer,
        await requestOnce(this.#dialer, owner, asked, { signal, ms: TAG_MS }),
        owner.name,
      )
      // Also when it says that there is no such tag: upstream may tell this node another thing.
      if (answer.is === 'refused') return undefined
      const { digest, mediaType, ageMs } = answer
      return { digest, mediaType: mediaType ?? undefined, size: undefined, ageMs }
    } catch {
      signal.throwIfAborted()
      return undefined
    } finally {
      this.#asking.delete(key)
    }
  }

  /** Who this agent is to its peers, and who they are. */
  view(): SwarmReport | undefined {
    return this.#joined && reportSwarm(this.#joined.membership, this.#roster)
  }

  /** Who owns it, and who has some of it, by the word of those who are asked now. undefined when there is nobody. */
  async whoHas(digest: Digest): Promise<AvailabilityReport | undefined> {
    const owner = this.#ownerOf(digest)
    if (owner === undefined) return undefined
    const asked = this.#ranked(digest, MOST_ASKED)
    const { answeredCount: answered, holders: found } = await askWhoHas(
      this.#dialer,
      digest,
      undefined,
      asked,
      this.#patience.whoHasMs,
    )
    return { owner, asked: asked.length, answered, holders: reportContentPeers(found) }
  }

  tagOwner(repository: Repository, tag: string): OwnerReport | undefined {
    return this.#ownerOf(tagKey(repository, tag))
  }

  /** undefined while there is nobody else. */
  #ownerOf(key: string): OwnerReport | undefined {
    const joined = this.#joined
    const [owner] = this.#owners(key, 1)
    if (joined === undefined || owner === undefined || this.#peers(joined).length === 0) return undefined
    return { name: owner.name, self: owner.id === joined.membership.self.id }
  }

  /** Who can be asked to warm images; undefined before this agent is one of a swarm. */
  warmers(): WarmTargets | undefined {
    return this.#joined && warmTargetsOf(this.#joined.membership, this.#dialer)
  }

  #take(parent: Contact, want: Want, intake: VouchedIntake, signal: AbortSignal): Promise<void> {
    const { id, name } = parent
    const { digest } = want
    const before = intake.position
    const transfer = {
      direction: 'taken' as const,
      digest,
      id,
      name,
      bytes: () => intake.position - before,
    }
    return this.#roster.record(transfer, () =>
      downloadFrom(parent, want, intake, { peerClient: this.#dialer, signal }),
    )
  }

  /** Those who speak as this one does. */
  #peers({ membership }: Joined): readonly Member[] {
    return membership.others().filter(({ protocol }) => protocol === PEER_PROTOCOL)
  }

  #owners(key: string, count: number): readonly Member[] {
    const joined = this.#joined
    if (joined === undefined) return []
    const { self } = joined.membership
    this.#ranking ??= new OwnerRanking([self.id, ...this.#peers(joined).map(({ id }) => id)])
    return this.#ranking
      .first(key, count)
      .flatMap((id) => (id === self.id ? self : (joined.membership.get(id) ?? [])))
  }

  #tables({ membership, tracker }: Joined, want: Want): readonly TrackerEndpoint[] {
    const { id } = membership.self
    const own = localTracker(tracker, membership.self)
    const patience = { answerMs: this.#patience.ownerMs, silenceMs: this.#patience.silenceMs }
    const tables = this.#owners(want.digest, OWNERS).map((owner) =>
      owner.id === id ? own : remoteTracker(contactOf(owner), this.#dialer, patience),
    )
    // Who is asked as the owner is it, whatever it thinks of that itself.
    return tracker.has(want) ? [own, ...tables.filter(({ isSelf }) => !isSelf)] : tables
  }

  async #formerOwners({ digest, kind, repository }: Want): Promise<readonly JoinRequest[]> {
    const asked = this.#ranked(digest, FORMER_OWNERS)
    const { holders: found } = await askWhoHas(
      this.#dialer,
      digest,
      { kind, repository },
      asked,
      this.#patience.whoHasMs,
    )
    return found.flatMap(({ member, position, whole }) =>
      whole ? [{ contact: contactOf(member), zone: member.zone, position, whole }] : [],
    )
  }

  /** Others, the likeliest to have it first. */
  #ranked(digest: Digest, count: number): readonly Member[] {
    const self = this.#joined?.membership.self.id
    return this.#owners(digest, count + 1)
      .filter(({ id }) => id !== self)
      .slice(0, count)
  }

  async #answer(first: unknown, line: PeerExchange): Promise<void> {
    try {
      const ask = parseMessage(PeerRequest, first, line.peerName)
      switch (ask.ask) {
        case 'take':
          return await serveContent(ask, line, { localContent: this.#node.holdings, peerStats: this.#roster })
        case 'follow':
          return await this.#host(ask, line)
        case 'has':
          return await this.#tellHeld(ask, line)
        case 'tag':
          return await this.#tellTag(ask, line)
        case 'warm':
          return await answerWarming(ask, line, this.#node.warm)
      }
    } catch (error) {
      line.send(refusalOf(error))
    }
  }

  async #host(ask: PeerRequest & { ask: 'follow' }, line: PeerExchange): Promise<void> {
    const { digest, kind, repository, position, self, zone, from, failed, best } = ask
    const joined = this.#joined
    if (joined === undefined) throw new Failure('busy', 'it is not there yet')
    if (!this.#node.allowed(repository)) throw new Failure('denied', 'not through this node')
    if (self.id !== line.remoteIdentity.id || self.fingerprint !== line.remoteIdentity.fingerprint) {
      throw new Failure('denied', 'it is somebody else')
    }
    const own = this.#participations.get(digest)
    // All come together where it has gone itself.
    if (own?.hasChangedOwner) throw new Failure('busy', 'it asks the next owner')
    // Two that take each other for the owner would wait for each other: one of them has to be it,
    // and not the one that has given it up.
    const isOwn = own?.ownerId === self.id && !failed
    if (isOwn && joined.membership.self.id > self.id) throw new Failure('busy', 'it follows you')
    const coming = {
      contact: self,
      zone: zone ?? undefined,
      position,
      from: from ?? undefined,
      hasFailed: failed,
      best,
    }
    const left = new AbortController()
    const ms = this.#patience.silenceMs ?? SILENCE_MS
    line.send({ is: 'beat' })
    const place = await joined.tracker.join({ digest, kind, repository }, coming, {
      onInstruction: (guidance) => {
        try {
          line.send(guidance)
        } catch {
          left.abort(new Failure('stopping', 'it does not listen'))
        }
      },
      onEnded: () => left.abort(new Failure('stopping', 'the table is gone')),
    })
    try {
      for (;;) {
        const message = await line.receive({ signal: left.signal, ms })
        if (message === undefined) return
        place.report(parseMessage(Progress, message, line.peerName))
      }
    } catch {
      // It has gone, or is sent away.
    } finally {
      place.leave()
    }
  }

  async #tellHeld({ digest, as }: PeerRequest & { ask: 'has' }, line: PeerExchange): Promise<void> {
    const { holdings, allowed } = this.#node
    if (as !== null) {
      if (!allowed(as.repository)) throw new Failure('denied', 'not through this node')
      await holdings.confirm({ digest, ...as })
    }
    const held = await holdings.state({ digest, repository: as?.repository })
    line.send({ is: 'held', position: held?.availableBytes ?? 0, whole: held?.isComplete ?? false })
  }

  async #tellTag(
    { repository, tag, firsthand }: PeerRequest & { ask: 'tag' },
    line: PeerExchange,
  ): Promise<void> {
    const node = this.#node
    if (!node.allowed(repository)) throw new Failure('denied', 'not through this node')
    // The two take each other for the owner, and would wait for each other.
    if (!firsthand && this.#asking.has(tagKey(repository, tag)))
      throw new Failure('busy', 'it is being asked for')
    const asking = { signal: line.closed, isUpstreamOnly: firsthand }
    const { digest, mediaType, ageMs = 0 } = await node.tag(repository, tag, asking)
    line.send({ is: 'tag', digest, mediaType: mediaType ?? null, ageMs })
  }
}

function tagKey(repository: Repository, tag: string): string {
  return `${repositoryKey(repository)}:${tag}`
}

function contactOf({ id, name, host, port, fingerprint }: Member): Contact {
  return { id, name, host, port, fingerprint }
}
