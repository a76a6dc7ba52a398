import { Throttle } from '../../lib/async/throttle.ts'
import { CHECKPOINT_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { Contributor, Source, VouchedIntake, Want } from '../../ports/source.ts'
import { type MemberId, parseMemberId } from '../identity/member.ts'
import { type Contact, MAX_CHECKPOINTS_PER_MESSAGE } from '../wire/protocol/messages.ts'
import type { DownloadRate } from './download-rate.ts'
import { type Assignment, TrackerClient } from './tracker-client.ts'
import type { TrackerEndpoint } from './tracker-endpoint.ts'
import { countingIntake, yieldingSource } from './yielding-source.ts'

export interface PeerTransferOptions {
  readonly want: Want
  readonly self: { readonly contact: Contact; readonly zone: string | undefined }
  readonly localContent: LocalContent
  /** Gives the trackers of the possible owners of the digest, the first owner first. */
  readonly trackers: () => readonly TrackerEndpoint[]
  readonly download: (parent: Contact, intake: VouchedIntake, signal: AbortSignal) => Promise<void>
  readonly downloadRate: DownloadRate
  readonly onBegin: () => void
  readonly onEnd: () => void
}

/** A participant reports progress at most this often. */
const MIN_REPORT_INTERVAL_MS = 25
/** A participant without progress still reports this often, so that its owner knows that it is alive. */
const MAX_REPORT_INTERVAL_MS = 1000
/** Bounds how often upstream yields to a parent in one transfer, in case an owner changes its instructions all the time. */
const MAX_YIELDS = 4

/**
 * The peers' part in the flight of a content. The flight tries its sources in this order:
 *
 * 1. `beforeUpstream` joins the owner's delivery plan and takes from the parents that the owner names. It fails with
 *    `absent` when this node is to ask upstream.
 * 2. Upstream, wrapped by `yielding`: it yields to `beforeUpstream` when the owner names a parent after all.
 * 3. `afterUpstream` tells the owner that upstream has failed, and asks the peers once more.
 *
 * While the flight lasts, the owner gets the progress, from whichever source the bytes come.
 */
export class PeerTransfer {
  readonly beforeUpstream: Source
  readonly afterUpstream: Source
  readonly #options: PeerTransferOptions
  #trackerClient: TrackerClient | undefined
  #intake: VouchedIntake | undefined
  #assignment: Assignment | undefined
  /** The checkpoints that the owner has sent. */
  readonly #vouched = new Checkpoints()
  #hasUpstreamFailed = false
  #yieldCount = 0
  #reportedPosition = -1
  #sentCheckpoints = 0
  #stopWatching: (() => void) | undefined
  readonly #reports = new Throttle(MIN_REPORT_INTERVAL_MS, () => void this.#report().catch(() => {}))
  #reportTimer: NodeJS.Timeout | undefined

  constructor(options: PeerTransferOptions) {
    this.#options = options
    this.beforeUpstream = {
      ...peerSource((intake, signal) => this.#bring(intake, signal)),
      blame: (culprits) => this.#blame(culprits),
    }
    this.afterUpstream = peerSource((intake, signal) => {
      this.#trackerClient?.discard()
      this.#trackerClient?.report({ is: 'failed' })
      this.#assignment = undefined
      this.#hasUpstreamFailed = true
      return this.#bring(intake, signal)
    })
  }

  yielding(upstream: Source): Source {
    return yieldingSource(upstream, {
      successor: this.beforeUpstream,
      whenToYield: (signal) => this.#whenToYield(signal),
      onBytes: (bytes) => this.#options.downloadRate.add(bytes),
    })
  }

  /** The owner that gives this transfer its instructions. */
  get ownerId(): MemberId | undefined {
    return this.#trackerClient?.ownerId
  }

  /**
   * The transfer has joined the plan of another owner, because no participant of the first owner's plan could bring the
   * content.
   */
  get hasChangedOwner(): boolean {
    return this.#trackerClient?.hasChangedOwner === true
  }

  /** Leaves the delivery plan. */
  close(): void {
    this.#end(false)
  }

  async #bring(intake: VouchedIntake, signal: AbortSignal): Promise<void> {
    const counted = countingIntake(intake, (bytes) => this.#options.downloadRate.add(bytes))
    this.#intake = counted
    const trackerClient = this.#begin()
    intake.vouch(0, this.#vouched.since(0))
    let assignment: Assignment | undefined
    for (;;) {
      assignment = await trackerClient.nextAssignment(assignment, signal)
      if (assignment.do === 'fetch' && this.#hasUpstreamFailed && trackerClient.tryNextOwner()) continue
      this.#assignment = assignment
      if (assignment.do === 'fetch') throw new Failure('absent', 'This node is to ask upstream.')
      if (assignment.do === 'take' && (await this.#take(assignment, trackerClient, counted, signal))) return
    }
  }

  /** Gives true when the parent has sent everything; false when it has failed, or there is another assignment. */
  async #take(
    assignment: Assignment & { do: 'take' },
    trackerClient: TrackerClient,
    intake: VouchedIntake,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { parent } = assignment
    const reassigning = new AbortController()
    const reassigned = new Failure('unavailable', `${parent.name} is no longer the parent`, {
      source: parent.name,
    })
    const either = AbortSignal.any([signal, reassigning.signal])
    void trackerClient
      .nextAssignment(assignment, either)
      .then(() => reassigning.abort(reassigned))
      .catch(() => {})
    try {
      await this.#options.download(parent, intake, either)
      return true
    } catch (error) {
      signal.throwIfAborted()
      if (error !== reassigned) {
        trackerClient.report({ is: 'lost', parent: parent.id })
        trackerClient.discard(assignment)
      }
      return false
    } finally {
      // Ends the waiting for the next assignment.
      reassigning.abort(reassigned)
    }
  }

  /** Resolves when the owner, which had told this node to fetch, names a parent. Upstream does not yield if no owner had. */
  #whenToYield(signal: AbortSignal): Promise<void> | undefined {
    if (this.#assignment?.do !== 'fetch' || this.#yieldCount === MAX_YIELDS) return undefined
    return this.#parentNamed(this.#assignment, signal)
  }

  async #parentNamed(fetch: Assignment, signal: AbortSignal): Promise<void> {
    let assignment: Assignment | undefined = fetch
    while (assignment?.do !== 'take') {
      assignment = await this.#trackerClient?.nextAssignment(assignment, signal)
    }
    this.#yieldCount += 1
  }

  /** The parent to blame may be an earlier one than the current one, which then goes on. */
  #blame(culprits: readonly Contributor[]): void {
    for (const { id } of culprits) {
      const parent = parseMemberId(id)
      if (parent === undefined) continue
      this.#trackerClient?.report({ is: 'blamed', parent })
      const assignment = this.#assignment
      if (assignment?.do === 'take' && assignment.parent.id === parent) {
        this.#trackerClient?.discard(assignment)
      }
    }
  }

  #begin(): TrackerClient {
    if (this.#trackerClient !== undefined) return this.#trackerClient
    this.#options.onBegin()
    const { want, self, localContent, trackers, downloadRate } = this.#options
    this.#trackerClient = new TrackerClient({
      want,
      trackers,
      joinRequest: () => {
        this.#sentCheckpoints = 0
        this.#reportedPosition = -1
        return {
          ...self,
          position: this.#intake?.position ?? 0,
          from: this.#from,
          hasFailed: this.#hasUpstreamFailed,
          best: downloadRate.bestBytesPerSecond,
        }
      },
      onCheckpoints: (first, checkpoints) => this.#vouch(first, checkpoints),
    })
    this.#stopWatching = localContent.watch(want.digest, () => this.#reports.call())
    this.#reportTimer = setInterval(() => {
      this.#reportedPosition = -1
      this.#reports.call()
    }, MAX_REPORT_INTERVAL_MS)
    return this.#trackerClient
  }

  get #from(): MemberId | 'upstream' | undefined {
    if (this.#assignment?.do === 'take') return this.#assignment.parent.id
    return this.#assignment?.do === 'fetch' ? 'upstream' : undefined
  }

  #vouch(first: number, checkpoints: Uint8Array): void {
    if (first === this.#vouched.count) this.#vouched.append(checkpoints)
    this.#intake?.vouch(first, checkpoints)
  }

  /** A fetcher also sends its checkpoints, which vouch for the content to the other participants. */
  async #report(): Promise<void> {
    const { want, localContent, downloadRate } = this.#options
    const state = await localContent.state(want)
    const isFetcher = this.#assignment?.do === 'fetch'
    if (isFetcher) await this.#sendCheckpoints()
    if (state === undefined || state.isComplete) return this.#end(state?.isComplete === true)
    const { availableBytes: position } = state
    if (position === this.#reportedPosition) return
    this.#reportedPosition = position
    const receives = isFetcher ? downloadRate.currentBytesPerSecond : undefined
    this.#trackerClient?.report({ is: 'at', position, receives })
  }

  async #sendCheckpoints(): Promise<void> {
    const { want, localContent } = this.#options
    const checkpoints = (await localContent.checkpoints(want.digest, this.#sentCheckpoints)) ?? Buffer.of()
    const batchBytes = MAX_CHECKPOINTS_PER_MESSAGE * CHECKPOINT_BYTES
    for (let at = 0; at < checkpoints.length; at += batchBytes) {
      const batch = Buffer.from(checkpoints.subarray(at, at + batchBytes))
      const first = this.#sentCheckpoints
      this.#trackerClient?.report({ is: 'marks', first, marks: batch.toString('base64') })
      this.#sentCheckpoints += batch.length / CHECKPOINT_BYTES
    }
  }

  #end(isComplete: boolean): void {
    clearInterval(this.#reportTimer)
    this.#reports.stop()
    this.#stopWatching?.()
    if (isComplete) this.#trackerClient?.report({ is: 'whole' })
    this.#trackerClient?.close()
    this.#options.onEnd()
  }
}

function peerSource(bring: (intake: VouchedIntake, signal: AbortSignal) => Promise<void>): Source {
  return { name: 'peers', kind: 'peer', bring: (_, intake, { signal }) => bring(intake, signal) }
}
