import { pause } from '../../lib/async/abort.ts'
import type { OnPace } from '../../ports/access/pull-rights.ts'
import { Failure } from '../../ports/failure.ts'

/** A request that would have to wait for longer fails at once, because a client is waiting. */
const LONGEST_WAIT_MS = 20_000

/** Lets requests begin one after another, so many in a second at most. */
export class RequestPace {
  readonly #intervalMs: number
  readonly #now: () => number
  #nextAt = Number.NEGATIVE_INFINITY

  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#intervalMs = 1000 / perSecond
    this.#now = now
  }

  /** For how long a request has to wait that is made now. Throws a `Failure` of `source` when that is too long. */
  waitMs(source: string): number {
    const now = this.#now()
    const at = Math.max(now, this.#nextAt)
    const waitMs = at - now
    if (waitMs > LONGEST_WAIT_MS) {
      const message = `${source} has more requests to answer than maxRequestsPerSecond allows within ${LONGEST_WAIT_MS / 1000} s`
      throw new Failure('busy', message, { source, retryAfterMs: Math.ceil(waitMs) })
    }
    this.#nextAt = at + this.#intervalMs
    return waitMs
  }

  /** Resolves when a request may begin. */
  async turn(
    source: string,
    { signal, onPace }: { signal: AbortSignal; onPace?: OnPace | undefined },
  ): Promise<void> {
    onPace?.('waits')
    const waitMs = this.waitMs(source)
    if (waitMs > 0) await pause(waitMs, { signal })
    onPace?.('begins')
  }
}
