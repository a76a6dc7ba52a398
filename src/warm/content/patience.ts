import { pause } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure } from '../../ports/failure.ts'

/** How often an upstream that limits requests is asked, and the longest pause between two requests. */
const MOST_TRIES = 4
const FIRST_PAUSE_MS = 2000
const MAX_PAUSE_MS = 30_000

interface Wait {
  readonly reason: string
  readonly until: number
}

/**
 * How long one image waits for a registry: some pauses for one that limits requests, and `waitMs` for one that does not
 * answer.
 */
export class Patience {
  readonly #endsAt: number
  readonly #waits = new Set<Wait>()

  constructor(waitMs: number) {
    this.#endsAt = performance.now() + waitMs
  }

  /** What the image waits for now: `127.0.0.1:5000: ECONNREFUSED, next try in 6 s`. */
  get waitsFor(): string | undefined {
    for (const { reason, until } of this.#waits) {
      const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000))
      return `${reason}, next try in ${seconds} s`
    }
    return undefined
  }

  /** Does the work again as long as there is patience. */
  async retry<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work()
      } catch (error) {
        const ms = error instanceof Failure ? this.#pauseMs(error, tries) : undefined
        if (ms === undefined) throw error
        await this.#wait((error as Failure).message, ms, signal)
      }
    }
  }

  /** Gives the pause before the next try; undefined if there is none. */
  #pauseMs(failure: Failure, tries: number): number | undefined {
    const ownMs = backoffMs(tries, { firstMs: FIRST_PAUSE_MS, maxMs: MAX_PAUSE_MS })
    const ms = failure.details.retryAfterMs ?? ownMs
    if (isUnreachable(failure)) {
      const leftMs = this.#endsAt - performance.now()
      return leftMs > 0 ? Math.min(Math.max(ms, 500), leftMs) : undefined
    }
    if (failure.code !== 'busy' || tries === MOST_TRIES || ms > MAX_PAUSE_MS) return undefined
    return ms * (1 + Math.random() / 4)
  }

  async #wait(reason: string, ms: number, signal: AbortSignal): Promise<void> {
    const wait = { reason, until: performance.now() + ms }
    this.#waits.add(wait)
    try {
      await pause(ms, { signal })
    } finally {
      this.#waits.delete(wait)
    }
  }
}

/** The registry gives no answer, or is not asked because it has given none. */
function isUnreachable({ code, details }: Failure): boolean {
  if (code === 'unavailable') return true
  return code === 'busy' && details.cause instanceof Failure && details.cause.code === 'unavailable'
}
