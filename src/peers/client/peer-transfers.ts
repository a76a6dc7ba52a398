import type { Digest } from '../../oci/digest.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { VouchedIntake, Want } from '../../ports/source.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { downloadFrom } from '../transfer/download.ts'
import { DownloadRate } from '../transfer/download-rate.ts'
import type { PeerStats } from '../transfer/peer-stats.ts'
import { PeerTransfer } from '../transfer/peer-transfer.ts'
import { localTracker, remoteTracker, type TrackerEndpoint } from '../transfer/tracker-endpoint.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import type { Contact } from '../wire/protocol/messages.ts'
import { contactOf, type Owners } from './owners.ts'

/** How many owners are tried for one digest. */
const MAX_OWNERS = 4

export interface PeerTransfersOptions {
  readonly owners: Owners
  readonly peerClient: PeerClient
  readonly stats: PeerStats
  readonly localContent: LocalContent
  /** The tracker of this node, for the digests that it owns. */
  readonly tracker: Tracker
  /** How long an owner may take to answer when this node opens a tracker session. */
  readonly ownerAnswerMs?: number | undefined
  /** How long an owner may be silent in a tracker session. */
  readonly trackerSilenceMs?: number | undefined
  readonly now?: (() => number) | undefined
}

/** The peer transfers of this node: one for each flight in which it takes content from its peers. */
export class PeerTransfers {
  readonly #options: PeerTransfersOptions
  readonly #downloadRate: DownloadRate
  readonly #underWay = new Map<Digest, PeerTransfer>()

  constructor(options: PeerTransfersOptions) {
    this.#options = options
    this.#downloadRate = new DownloadRate(options.now)
  }

  /** Gives undefined when this node has no peers. A transfer is under way from the moment when its flight asks the peers. */
  create(want: Want): PeerTransfer | undefined {
    const { owners, localContent, peerClient } = this.#options
    if (!owners.hasPeers) return undefined
    const { self } = owners
    const { digest } = want
    const transfer: PeerTransfer = new PeerTransfer({
      want,
      self: { contact: contactOf(self), zone: self.zone },
      localContent,
      trackers: () => this.#trackersOf(want),
      download: (parent, intake, signal) => this.#download(parent, want, intake, signal),
      downloadRate: this.#downloadRate,
      onBegin: () => {
        this.#underWay.set(digest, transfer)
        peerClient.prepareDownload()
      },
      onEnd: () => {
        if (this.#underWay.get(digest) === transfer) this.#underWay.delete(digest)
      },
    })
    return transfer
  }

  underWay(digest: Digest): PeerTransfer | undefined {
    return this.#underWay.get(digest)
  }

  close(): void {
    for (const transfer of [...this.#underWay.values()]) transfer.close()
  }

  #trackersOf(want: Want): readonly TrackerEndpoint[] {
    const { owners, tracker, peerClient, ownerAnswerMs, trackerSilenceMs } = this.#options
    const { self } = owners
    const own = localTracker(tracker, self)
    const timeouts = { answerMs: ownerAnswerMs, silenceMs: trackerSilenceMs }
    const endpoints = owners
      .first(want.digest, MAX_OWNERS)
      .map((owner) => (owner.id === self.id ? own : remoteTracker(contactOf(owner), peerClient, timeouts)))
    // Members may take this node for the owner while it does not. Its own transfer then joins the plan that they have joined.
    return tracker.has(want) ? [own, ...endpoints.filter(({ isSelf }) => !isSelf)] : endpoints
  }

  #download(parent: Contact, want: Want, intake: VouchedIntake, signal: AbortSignal): Promise<void> {
    const { stats, peerClient } = this.#options
    const { id, name } = parent
    const { digest } = want
    const before = intake.position
    const bytes = (): number => intake.position - before
    return stats.record({ direction: 'taken', digest, id, name, bytes }, () =>
      downloadFrom(parent, want, intake, { peerClient, signal }),
    )
  }
}
