import { unlessAborted } from '../../lib/async/abort.ts'
import { publish } from '../../observe/events.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import {
  type ContentHead,
  type Contributor,
  type Source,
  SourceYielded,
  type VouchedIntake,
  type Want,
} from '../../ports/source.ts'
import { asFailure } from './pick-failure.ts'

export interface AttemptOptions {
  readonly want: Want
  readonly source: Source
  readonly incoming: Incoming
  /** What the source says about the content; gives the size to hold it to. Throws a `Failure` to end the attempt. */
  readonly expect: (head: ContentHead) => number | undefined
  /** Only peers say how large it is: nothing is to go from the disk for what has not come. */
  readonly isSizeUnconfirmed: () => boolean
  /** As `VouchedIntake`, as long as the attempt goes on. */
  readonly setContributor: (peer: Contributor) => void
  readonly vouch: (first: number, marks: Uint8Array) => void
  readonly progressTimeoutMs: number
  /** So many bytes have to come in that time, or all that are left. */
  readonly minBytes: number
  /** How long the source may take to say how large it is; undefined: it has a deadline of its own. */
  readonly answerTimeoutMs: number | undefined
  /** Called when the source has to wait for room, and when it need not any more. */
  readonly onWaiting: (isWaiting: boolean) => void
  readonly signal: AbortSignal
}

/** How much is reserved at a time while nobody says how large it will be. */
const RESERVE_STEP_BYTES = 64 * 1024 * 1024
/** And while nobody says it who can be relied on. */
const UNCONFIRMED_RESERVE_STEP_BYTES = 16 * 1024 * 1024

/** One source, once. Gives why it did not bring all that was missing; undefined when it did. */
export async function attempt(options: AttemptOptions): Promise<Failure | undefined> {
  const { want, source, incoming } = options
  const startedAt = Date.now()
  const before = incoming.position
  const stall = new Stall(options.progressTimeoutMs, options.minBytes, source.name)
  let limit = want.kind === 'manifest' ? MAX_MANIFEST_BYTES : Number.POSITIVE_INFINITY
  const signal = AbortSignal.any([options.signal, stall.signal])
  let size: number | undefined
  let reserved = 0
  const reserve = (bytes: number): void => {
    reserved = Math.min(limit, bytes)
    void incoming.reserve(reserved, size ?? reserved)
  }
  const reserveMore = (): void => {
    if (reserved >= limit) return
    const step = size === undefined ? RESERVE_STEP_BYTES : UNCONFIRMED_RESERVE_STEP_BYTES
    if (incoming.position > reserved - step / 2) reserve(size === undefined ? reserved * 2 : reserved + step)
  }
  const drained = async (): Promise<void> => {
    options.onWaiting(true)
    await unlessAborted(incoming.drained(), signal)
    options.onWaiting(false)
  }
  let over = false
  const intake: VouchedIntake = {
    get position() {
      return incoming.position
    },
    expect: (head) => {
      size = options.expect(head)
      if (size !== undefined && size > limit) throw tooLarge(source.name, size)
      limit = size ?? limit
      if (size === undefined) reserve(incoming.position + RESERVE_STEP_BYTES)
      else reserve(options.isSizeUnconfirmed() ? incoming.position + UNCONFIRMED_RESERVE_STEP_BYTES : size)
      clearTimeout(unanswered)
      stall.watch()
    },
    buffer: () => incoming.buffer(),
    filled: (length) => {
      if (incoming.position + length > limit) {
        stall.giveUp(size === undefined ? tooLarge(source.name, limit) : overlong(source.name, size))
        return false
      }
      const room = incoming.filled(length)
      reserveMore()
      // While the disk is what is slow, the source is not to blame.
      if (room) stall.moved(length)
      else stall.rest()
      return room
    },
    drained: async () => {
      if (stall.failure !== undefined) throw stall.failure
      await drained()
      stall.watch()
    },
    setContributor: (peer) => {
      if (!over) options.setContributor(peer)
    },
    vouch: (first, marks) => {
      if (!over) options.vouch(first, marks)
    },
  }
  let failure: Failure | undefined
  const { answerTimeoutMs } = options
  const unanswered =
    answerTimeoutMs === undefined
      ? undefined
      : setTimeout(() => stall.giveUp(tooLate(source.name, answerTimeoutMs)), answerTimeoutMs)
  try {
    if (!incoming.isStorable) await drained()
    await source.bring(want, intake, { signal })
    if (size !== undefined && incoming.position < size) failure = short(source.name, size, incoming.position)
  } catch (thrown) {
    failure = stall.failure ?? asFailure(options.signal.aborted ? options.signal.reason : thrown, source.name)
  } finally {
    over = true
    clearTimeout(unanswered)
    stall.end()
    options.onWaiting(false)
  }
  publish('flight.attempted', {
    digest: want.digest,
    source: source.name,
    sourceKind: source.kind,
    bytes: incoming.position - before,
    ms: Date.now() - startedAt,
    error: failure instanceof SourceYielded ? undefined : failure,
  })
  return failure
}

/** Gives a source up when it stops moving. */
class Stall {
  readonly #ms: number
  readonly #leastBytes: number
  readonly #source: string
  #bytes = 0
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #isOver = false
  failure: Failure | undefined

  constructor(ms: number, leastBytes: number, source: string) {
    this.#ms = ms
    this.#leastBytes = leastBytes
    this.#source = source
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  moved(bytes: number): void {
    this.#bytes += bytes
    if (this.#timer === undefined || this.#bytes >= this.#leastBytes) this.watch()
  }

  /** Something moved: from now on again, `ms` may pass. */
  watch(): void {
    if (this.#isOver) return
    this.#bytes = 0
    if (this.#timer !== undefined) {
      this.#timer.refresh()
      return
    }
    this.#timer = setTimeout(() => {
      const amount = this.#bytes === 0 ? 'nothing' : `only ${this.#bytes} bytes`
      const message = `${this.#source} has sent ${amount} for ${this.#ms / 1000} s.`
      this.giveUp(new Failure('stalled', message, { source: this.#source }))
    }, this.#ms)
  }

  rest(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Also when its source, that has not heard of the end yet, says more: a timer would keep the process running. */
  end(): void {
    this.#isOver = true
    this.rest()
  }

  giveUp(failure: Failure): void {
    this.failure ??= failure
    this.#controller.abort(failure)
  }
}

function tooLate(source: string, ms: number): Failure {
  return new Failure('stalled', `${source} has not answered within ${ms / 1000} s.`, { source })
}

function tooLarge(source: string, size: number): Failure {
  return new Failure(
    'too-large',
    `${source} has a manifest of ${size} bytes or more; ${MAX_MANIFEST_BYTES} is the limit.`,
    {
      source,
      expected: MAX_MANIFEST_BYTES,
      found: size,
    },
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
