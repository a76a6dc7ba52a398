import { unlessAborted } from '../../../lib/async/abort.ts'
import { publish } from '../../../observe/events.ts'
import { MAX_MANIFEST_BYTES } from '../../../oci/manifest.ts'
import type { Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import {
  type ContentHead,
  type Contributor,
  type Source,
  SourceYielded,
  type VouchedIntake,
  type Want,
} from '../../../ports/source.ts'
import type { AttemptDeadlines } from './attempt-deadlines.ts'
import { asFailure } from './pick-failure.ts'
import { Reservation } from './reservation.ts'
import { StallTimer } from './stall-timer.ts'

export interface BringOptions {
  readonly signal: AbortSignal
  /** Says that nothing is asked of the source for now, so that it is not to blame, and when that is over. */
  readonly onIdle: (isIdle: boolean) => void
  /** Says that the source has brought bytes that have not reached the intake. */
  readonly onAhead: (bytes: number) => void
  /** Says that such bytes are about to reach it. */
  readonly onTaken: (bytes: number) => void
}

/** How an attempt has its source bring bytes. */
export interface Bringing {
  /** As `Source.bring`. */
  bring(source: Source, intake: VouchedIntake, options: BringOptions): Promise<void>
  /** Forgets bytes that have not reached the intake. Called while no attempt is under way. */
  forget(): Promise<void>
  /** From now on all bytes of a content come over one connection. Gives whether it were several. */
  endConnections(): boolean
}

export interface AttemptOptions {
  readonly want: Want
  readonly source: Source
  readonly bringing: Bringing
  readonly incoming: Incoming
  /**
   * Takes what the source says about the content, and gives its size as far as it is known. Throws a `Failure` to end
   * the attempt.
   */
  readonly expect: (head: ContentHead) => number | undefined
  /** Whether only peers have said the size: then nothing is evicted for bytes that have not come. */
  readonly isSizeFromPeer: () => boolean
  /** As `VouchedIntake`. Not called any more when the attempt is over. */
  readonly setContributor: (contributor: Contributor) => void
  readonly vouch: (first: number, checkpoints: Uint8Array) => void
  readonly deadlines: AttemptDeadlines
  /** Called when the source has to wait for room, and when it need not wait any more. */
  readonly onWaiting: (isWaiting: boolean) => void
  readonly signal: AbortSignal
}

/** Lets one source bring bytes, once. Gives why it has not brought all that was missing; undefined when it has. */
export async function attempt(options: AttemptOptions): Promise<Failure | undefined> {
  const { want, source, bringing, incoming, deadlines } = options
  const { name } = source
  const startedAt = Date.now()
  const before = incoming.position
  const isDiskBehind = (): boolean => incoming.written < incoming.position
  const stall = new StallTimer({ sourceName: name, isDiskBehind, ...deadlines })
  const signal = AbortSignal.any([options.signal, stall.signal])
  let size: number | undefined
  let limit = want.kind === 'manifest' ? MAX_MANIFEST_BYTES : Number.POSITIVE_INFINITY
  const reservation = new Reservation(incoming, limit)
  const drained = async (): Promise<void> => {
    options.onWaiting(true)
    await unlessAborted(incoming.drained(), signal)
    options.onWaiting(false)
  }
  /** What has come ahead of its turn, less what the intake has of it. */
  let aheadBytes = 0
  let hasAnswered = false
  let isOver = false
  const intake: VouchedIntake = {
    get position() {
      return incoming.position
    },
    expect: (head) => {
      size = options.expect(head)
      if (size !== undefined && size > limit) throw tooLarge(name, size)
      limit = size ?? limit
      reservation.declare(size, { isConfirmed: !options.isSizeFromPeer() })
      clearTimeout(answerTimer)
      hasAnswered = true
      stall.start()
    },
    buffer: () => incoming.buffer(),
    nextBuffer: () => incoming.nextBuffer?.(),
    filled: (length) => {
      if (incoming.position + length > limit) {
        stall.giveUp(size === undefined ? tooLarge(name, limit) : overlong(name, size))
        return false
      }
      const hasRoom = incoming.filled(length)
      reservation.extend()
      // While the disk is what is slow, the source is not to blame.
      if (hasRoom) stall.countBytes(length)
      else stall.pause()
      return hasRoom
    },
    drained: async () => {
      if (stall.failure !== undefined) throw stall.failure
      await drained()
      if (hasAnswered) stall.start()
    },
    setContributor: (contributor) => {
      if (!isOver) options.setContributor(contributor)
    },
    vouch: (first, checkpoints) => {
      if (!isOver) options.vouch(first, checkpoints)
    },
  }
  let failure: Failure | undefined
  const { answerTimeoutMs } = deadlines
  const answerTimer =
    answerTimeoutMs === undefined
      ? undefined
      : setTimeout(() => stall.giveUp(tooLate(name, answerTimeoutMs)), answerTimeoutMs)
  try {
    if (!incoming.isStorable) await drained()
    await bringing.bring(source, intake, {
      signal,
      onIdle: (isIdle) => (isIdle ? stall.pause() : stall.start()),
      onAhead: (bytes) => {
        aheadBytes += bytes
      },
      onTaken: (bytes) => {
        aheadBytes -= bytes
      },
    })
    if (size !== undefined && incoming.position < size) failure = short(name, size, incoming.position)
  } catch (thrown) {
    failure = stall.failure ?? asFailure(options.signal.aborted ? options.signal.reason : thrown, name)
  } finally {
    isOver = true
    clearTimeout(answerTimer)
    stall.end()
    options.onWaiting(false)
  }
  publish('flight.attempted', {
    digest: want.digest,
    source: name,
    sourceKind: source.kind,
    bytes: incoming.position - before + aheadBytes,
    ms: Date.now() - startedAt,
    error: failure instanceof SourceYielded ? undefined : failure,
  })
  return failure
}

function tooLate(source: string, ms: number): Failure {
  return new Failure('stalled', `${source} has not answered within ${ms / 1000} s.`, { source })
}

function tooLarge(source: string, size: number): Failure {
  return new Failure(
    'too-large',
    `${source} has a manifest of ${size} bytes or more; ${MAX_MANIFEST_BYTES} is the limit.`,
    { source, expected: MAX_MANIFEST_BYTES, found: size },
  )
}

function overlong(source: string, size: number): Failure {
  return new Failure('corrupt', `${source} sent more than the ${size} bytes it declared.`, {
    source,
    expected: size,
  })
}

function short(source: string, size: number, position: number): Failure {
  return new Failure('unavailable', `${source} ended after ${position} of ${size} bytes.`, {
    source,
    expected: size,
    found: position,
  })
}
