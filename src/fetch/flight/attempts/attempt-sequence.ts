import { pause } from '../../../lib/async/abort.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../oci/checkpoints.ts'
import type { Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import { type ContentHead, type Source, SourceYielded, type Want } from '../../../ports/source.ts'
import type { DeclaredHead } from '../bytes/declared-head.ts'
import { disputeFailure, SizeContradiction, UNVOUCHED } from '../bytes/dispute-errors.ts'
import type { ReceivedBytes } from '../bytes/received-bytes.ts'
import type { Dispute } from '../bytes/vouching.ts'
import type { PassThroughPacing } from '../readers/pass-through-pacing.ts'
import type { Readers } from '../readers/readers.ts'
import { attempt, type Bringing } from './attempt.ts'
import { deadlinesFor } from './attempt-deadlines.ts'
import { blameDisputed, blameWrongDigest } from './blame.ts'
import { pickFailure } from './pick-failure.ts'
import { SourceQueue, type SourceQueuePolicy } from './source-queue.ts'

export interface AttemptPolicy extends SourceQueuePolicy {
  /** A source that brings no byte for this long is given up for the next one. */
  readonly progressTimeoutMs: number
}

export interface AttemptSequenceOptions {
  readonly want: Want
  readonly sources: readonly Source[]
  readonly policy: AttemptPolicy
  readonly bringing: Bringing
  readonly incoming: Incoming
  readonly declared: DeclaredHead
  readonly received: ReceivedBytes
  readonly readers: Readers
  readonly pacing: PassThroughPacing
  /** Called when readers may have more bytes than before, or fewer. */
  readonly onChange: () => void
  readonly signal: AbortSignal
}

/** Up to this many bytes that nobody vouches for are asked for again, of upstream. */
const MAX_GIVEN_UP_BYTES = 1024 * 1024

/** Asks the sources of a flight, one attempt after another, until its bytes have the wanted digest. */
export class AttemptSequence {
  readonly #options: AttemptSequenceOptions
  readonly #queue: SourceQueue
  readonly #failures: Failure[] = []

  constructor(options: AttemptSequenceOptions) {
    this.#options = options
    this.#queue = new SourceQueue(options.sources, options.policy)
  }

  /** Resolves when the bytes have the wanted digest. Rejects with the failure that outweighs those of all sources. */
  async run(): Promise<void> {
    const { want, incoming, received, signal } = this.#options
    for (;;) {
      await this.#bringAll()
      const found = await incoming.digest()
      if (found === want.digest) return
      signal.throwIfAborted()
      const dispute = received.disputeOfWrongDigest()
      if (dispute !== undefined) {
        await this.#settle(dispute)
        continue
      }
      const { failure, wrongSources } = blameWrongDigest(found, this.#options)
      // A server may answer requests for ranges with other bytes, and have the right ones.
      if (!this.#options.bringing.endConnections()) {
        this.#queue.dropIf((source) => wrongSources.includes(source))
      }
      this.#failures.push(failure)
      await this.#startOver(failure)
    }
  }

  /** Asks source after source, each from where the one before has stopped, until nothing is missing. */
  async #bringAll(): Promise<void> {
    const { want, received, signal } = this.#options
    const queue = this.#queue
    queue.forgetAttempts()
    for (;;) {
      const source = queue.first
      if (source === undefined) throw pickFailure(`${want.kind} ${want.digest}`, this.#failures)
      const { pauseMs } = queue
      if (pauseMs !== undefined) await pause(pauseMs, { signal })
      // The bytes of an earlier attempt may be found wrong while no source is asked.
      if (received.dispute !== undefined) {
        await this.#settle(received.dispute)
        continue
      }
      if (source.kind !== 'peer') await this.#giveUpUnvouched()
      if (received.dispute !== undefined) continue
      const before = received.position
      const failure = await this.#attempt(source)
      if (failure === undefined) return
      signal.throwIfAborted()
      if (received.dispute !== undefined) await this.#settleAfterAttempt(received.dispute, source, before)
      else await this.#decideAfter(failure, source, received.position - before)
    }
  }

  async #attempt(source: Source): Promise<Failure | undefined> {
    const { want, policy, bringing, incoming, declared, received, pacing, onChange, signal } = this.#options
    const before = received.position
    const disputed = received.beginAttempt(source)
    const failure = await attempt({
      want,
      source,
      bringing,
      incoming,
      expect: (head) => this.#expect(source, head),
      isSizeFromPeer: () => declared.isSizeFromPeer,
      setContributor: (contributor) => received.setContributor(contributor),
      vouch: (first, checkpoints) => {
        received.vouch(first, checkpoints)
        onChange()
      },
      deadlines: deadlinesFor(source, policy.progressTimeoutMs),
      onWaiting: (isWaiting) => pacing.setWaiting(isWaiting),
      signal: AbortSignal.any([signal, disputed]),
    })
    received.endAttempt(source, { hasContributed: failure === undefined || received.position > before })
    return failure
  }

  #expect(source: Source, head: ContentHead): number | undefined {
    const { declared, received, readers, onChange } = this.#options
    declared.take(source, head, received.position)
    const { size, mediaType } = declared
    if (head.size !== undefined) {
      readers.announceHead({ size: head.size, mediaType })
      onChange()
    }
    return size
  }

  async #decideAfter(failure: Failure, source: Source, bytes: number): Promise<void> {
    const hasProgressed = this.#queue.countProgress(bytes)
    if (failure instanceof SourceYielded) return this.#queue.moveToFront(failure.successor)
    this.#failures.push(failure)
    if (!hasProgressed) this.#queue.countFailure(source)
    const isContradicted = failure instanceof SizeContradiction || this.#isBeyondEnd(source, failure)
    if (isContradicted) await this.#preferOver(source, failure)
    else this.#queue.moveBack(source, failure)
  }

  /** Whether there are more bytes than upstream has, by the word of peers or of an earlier run (RFC 9110, 15.5.17). */
  #isBeyondEnd(source: Source, { details }: Failure): boolean {
    const { declared, received } = this.#options
    const isRefused = source.kind !== 'peer' && details.status === 416
    return isRefused && !declared.isSizeFromUpstream && received.position > 0
  }

  /** Two sources say different sizes, and only the digest can tell which is right: the later one is asked from byte 0. */
  async #preferOver(source: Source, failure: Failure): Promise<void> {
    const { declared } = this.#options
    // A peer is believed less than upstream, and less than the bytes that have come.
    if (source.kind === 'peer' && !declared.isSizeFromPeer) return this.#queue.drop(source)
    this.#queue.drop(declared.sizeSource)
    this.#queue.moveToFront(source)
    await this.#startOver(failure)
  }

  async #startOver(failure: Failure): Promise<void> {
    const { bringing, declared, received, readers, onChange, signal } = this.#options
    if (!this.#queue.beginAgain()) throw failure
    declared.forget()
    await bringing.forget()
    readers.startOver(failure)
    await received.restart()
    onChange()
    signal.throwIfAborted()
  }

  /** The last bytes of peers, if nobody vouches for them, would keep from readers what upstream brings after them. */
  async #giveUpUnvouched(): Promise<void> {
    const { received, readers, onChange, signal } = this.#options
    const { vouchedBytes, position } = received
    const unvouched = position - vouchedBytes
    if (unvouched <= 0 || unvouched > MAX_GIVEN_UP_BYTES) return
    if (received.isPassThrough || vouchedBytes === 0 || vouchedBytes % CHECKPOINT_INTERVAL_BYTES !== 0) return
    await received.truncate(vouchedBytes)
    const message = 'The content can no longer be stored, and its transfer begins again.'
    readers.dismissBeyond(received.position, new Failure('disk', message))
    onChange()
    signal.throwIfAborted()
  }

  async #settleAfterAttempt(dispute: Dispute, source: Source, before: number): Promise<void> {
    await this.#settle(dispute)
    const hasProgressed = this.#queue.countProgress(this.#options.received.position - before)
    // Peers can be asked for another peer. An upstream host that went on from wrong bytes is not to blame.
    if (!hasProgressed && source.kind === 'peer') this.#queue.countFailure(source)
    this.#queue.dropIfFailedTooOften(source)
  }

  /** Takes disputed bytes back, which are then asked for again, but not of those who brought them. */
  async #settle(dispute: Dispute): Promise<void> {
    const { want, bringing, received, readers, onChange, signal } = this.#options
    const failure = disputeFailure(want.digest, dispute)
    await bringing.forget()
    blameDisputed(dispute, this.#options)
    const isCulprit = ({ name }: Source): boolean => dispute.culprits.some(({ id }) => id === name)
    this.#queue.dropIf((source) => source.kind === 'peer' && (dispute === UNVOUCHED || isCulprit(source)))
    // Some of the bytes may have been given up before they were found to be wrong.
    const goodBytes = Math.min(dispute.goodBytes, received.position)
    readers.dismissBeyond(received.isPassThrough ? 0 : goodBytes, failure)
    await received.settleDispute(goodBytes)
    readers.dismissBeyond(received.position, failure)
    this.#failures.push(failure)
    onChange()
    signal.throwIfAborted()
  }
}
