import { unlessAborted } from '../../../lib/async/abort.ts'
import { Deferred } from '../../../lib/async/deferred.ts'
import type { Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import type { DeclaredHead } from '../bytes/declared-head.ts'
import { UNVOUCHED, unknownSizeFailure } from '../bytes/dispute-errors.ts'
import type { ReceivedBytes } from '../bytes/received-bytes.ts'
import type { Readers } from './readers.ts'

export interface PacingPolicy {
  /** A reader that takes no byte for this long, while others wait for it, is dismissed. */
  readonly progressTimeoutMs: number
  /** The content keeps its start in memory for this long, so that more readers can join. */
  readonly moreReadersTimeoutMs: number
}

export interface PassThroughPacingOptions {
  readonly policy: PacingPolicy
  readonly incoming: Incoming
  readonly declared: DeclaredHead
  readonly received: ReceivedBytes
  readonly readers: Readers
  /** Ends the flight. */
  readonly flight: AbortController
}

/** A reader that keeps nobody else waiting has this many times as long. */
const ONLY_READER_FACTOR = 6
const CHECKS_PER_TIMEOUT = 4

/**
 * Lets the readers of a pass-through content set its pace: bytes that all readers have taken leave memory, and a reader
 * for which the others wait is dismissed. Does nothing while the content can be stored.
 */
export class PassThroughPacing {
  readonly #options: PassThroughPacingOptions
  /** Since when the source, or the end of the flight, waits for readers. */
  #waitingSince: number | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #moreReadersTimer: NodeJS.Timeout | undefined
  #mayDiscardStart = false
  #isStartInUse = false
  #allRead: Deferred<void> | undefined
  #isStopped = false

  constructor(options: PassThroughPacingOptions) {
    this.#options = options
  }

  /** Says whether the source has to wait for room in memory. */
  setWaiting(isWaiting: boolean): void {
    this.#waitingSince = isWaiting ? Date.now() : undefined
    this.update()
  }

  /** Called when bytes have come, when a reader has moved, and when one has joined or left. */
  update(): void {
    const { incoming, declared, received, readers, flight } = this.#options
    if (!received.isPassThrough) return
    this.#startTimers()
    const { slowestOffset } = readers
    if (slowestOffset === undefined) {
      if (received.isVerified) this.#allRead?.resolve()
      else flight.abort(new Failure('disk', 'All clients have left, and the content cannot be stored.'))
      return
    }
    if (this.#mayDiscardStart && !this.#isStartInUse)
      incoming.discardBefore(Math.min(slowestOffset, incoming.written))
    // Without a size no byte is released, so none would ever leave memory.
    if (this.#waitingSince !== undefined && declared.size === undefined)
      flight.abort(unknownSizeFailure(incoming.passThroughReason))
  }

  /** Keeps all bytes in memory that are there until `work` is done. */
  async whileStartIsKept<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#isStartInUse = true
    try {
      return await work()
    } finally {
      this.#isStartInUse = false
    }
  }

  /** Resolves when no reader needs the verified content any more. */
  async untilRead({ signal }: { signal: AbortSignal }): Promise<void> {
    this.#allRead = new Deferred()
    this.setWaiting(true)
    await unlessAborted(this.#allRead.promise, signal)
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#idleTimer)
    clearTimeout(this.#moreReadersTimer)
  }

  #startTimers(): void {
    if (this.#isStopped) return
    const { progressTimeoutMs, moreReadersTimeoutMs } = this.#options.policy
    this.#idleTimer ??= setInterval(() => this.#dismissIdle(), progressTimeoutMs / CHECKS_PER_TIMEOUT)
    this.#moreReadersTimer ??= setTimeout(() => {
      this.#mayDiscardStart = true
      this.update()
    }, moreReadersTimeoutMs)
  }

  #dismissIdle(): void {
    const { policy, received, readers } = this.#options
    const { progressTimeoutMs } = policy
    const since = this.#waitingSince
    if (!received.isPassThrough || since === undefined) return
    const slowestOffset = readers.slowestOffset ?? 0
    if (received.areUnvouched && slowestOffset >= received.vouchedBytes) {
      // The readers have all that they may have, so it is not a reader that is waited for.
      if (Date.now() - since >= progressTimeoutMs) received.startDispute(UNVOUCHED)
      return
    }
    const timeoutMs = readers.activeCount > 1 ? progressTimeoutMs : progressTimeoutMs * ONLY_READER_FACTOR
    const upTo = received.isVerified ? Number.POSITIVE_INFINITY : slowestOffset
    readers.dismissIdle(upTo, timeoutMs, since)
  }
}
