import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure } from '../../ports/failure.ts'

const FAILURES_TO_OPEN = 5
const FIRST_REST_MS = 5000
const LONGEST_REST_MS = 30_000

export type CircuitState =
  | { readonly state: 'closed' }
  | { readonly state: 'open' | 'half-open'; readonly reason: string; readonly retryAfterMs: number }

/**
 * Keeps requests from a host that has just failed several times in a row, so that clients hear "not now" at once instead
 * of waiting for each deadline again. After a rest one request is let through to see.
 */
export class Circuit {
  readonly #host: string
  readonly #onChange: (open: boolean, reason: string) => void
  readonly #now: () => number
  readonly #random: () => number
  #failures = 0
  #rests = 0
  #openUntil: number | undefined
  #reason = ''
  #probing = false

  constructor(options: {
    host: string
    onChange: (open: boolean, reason: string) => void
    now?: () => number
    random?: () => number
  }) {
    this.#host = options.host
    this.#onChange = options.onChange
    // Not the clock on the wall: set back, it would keep a host closed for as long as it was wrong.
    this.#now = options.now ?? (() => performance.now())
    this.#random = options.random ?? Math.random
  }

  get state(): CircuitState {
    if (this.#openUntil === undefined) return { state: 'closed' }
    const retryAfterMs = Math.max(0, this.#openUntil - this.#now())
    return { state: retryAfterMs > 0 ? 'open' : 'half-open', reason: this.#reason, retryAfterMs }
  }

  /**
   * Makes the attempt, or throws a `Failure` at once while the circuit is open. `judge` says what is wrong with a result,
   * if anything; an attempt that throws `unavailable` is wrong as well. Any other throw tells nothing about the host.
   */
  async run<Result>(
    attempt: () => Promise<Result>,
    judge: (result: Result) => string | undefined,
  ): Promise<Result> {
    const probing = this.#enter()
    try {
      const result = await attempt()
      const wrong = judge(result)
      if (wrong === undefined) this.#succeeded()
      else this.#failed(wrong, probing)
      return result
    } catch (error) {
      if (error instanceof Failure && error.code === 'unavailable') this.#failed(error.message, probing)
      throw error
    } finally {
      if (probing) this.#probing = false
    }
  }

  #enter(): boolean {
    if (this.#openUntil === undefined) return false
    const rest = this.#openUntil - this.#now()
    if (rest <= 0 && !this.#probing) {
      this.#probing = true
      return true
    }
    throw new Failure('busy', `${this.#host} is left alone for now: ${this.#reason}`, {
      source: this.#host,
      retryAfterMs: Math.max(rest, 1000),
    })
  }

  #succeeded(): void {
    this.#failures = 0
    this.#rests = 0
    if (this.#openUntil === undefined) return
    this.#openUntil = undefined
    this.#onChange(false, 'it answers again')
  }

  #failed(reason: string, probing: boolean): void {
    const wasOpen = this.#openUntil !== undefined
    // What was under way when it opened says nothing new.
    if (wasOpen && !probing) return
    this.#failures += 1
    if (!wasOpen && this.#failures < FAILURES_TO_OPEN) return
    this.#rests += 1
    const rest = backoffMs(this.#rests, { firstMs: FIRST_REST_MS, jitter: 0.25, random: this.#random })
    this.#reason = reason
    this.#openUntil = this.#now() + Math.min(rest, LONGEST_REST_MS)
    if (!wasOpen) this.#onChange(true, reason)
  }
}
