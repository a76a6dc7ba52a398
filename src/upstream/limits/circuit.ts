import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure } from '../../ports/failure.ts'

const FAILURES_TO_OPEN = 5
const FIRST_OPEN_MS = 5000
const LONGEST_OPEN_MS = 30_000

export type CircuitState =
  | { readonly state: 'closed' }
  | { readonly state: 'open' | 'half-open'; readonly reason: string; readonly retryAfterMs: number }

/**
 * A circuit breaker for one host. After five failures in a row, requests fail at once, so that clients do not wait for one
 * deadline after another. After a pause, one request is sent as a probe; its success closes the circuit.
 */
export class Circuit {
  readonly #host: string
  readonly #onChange: (open: boolean, reason: string) => void
  readonly #now: () => number
  readonly #random: () => number
  #failures = 0
  #openings = 0
  #openUntil: number | undefined
  #reason = ''
  #isProbing = false

  constructor(options: {
    host: string
    onChange: (open: boolean, reason: string) => void
    now?: () => number
    random?: () => number
  }) {
    this.#host = options.host
    this.#onChange = options.onChange
    // A monotonic clock: if the wall clock were set back, the circuit would stay open for that much longer.
    this.#now = options.now ?? (() => performance.now())
    this.#random = options.random ?? Math.random
  }

  get state(): CircuitState {
    if (this.#openUntil === undefined) return { state: 'closed' }
    const retryAfterMs = Math.max(0, this.#openUntil - this.#now())
    return { state: retryAfterMs > 0 ? 'open' : 'half-open', reason: this.#reason, retryAfterMs }
  }

  /**
   * Makes the attempt, or throws a `Failure` at once while the circuit is open. `judge` returns why a result counts as a
   * failure of the host, or undefined. A thrown `unavailable` counts as a failure, too; any other error does not.
   */
  async run<Result>(
    attempt: () => Promise<Result>,
    judge: (result: Result) => string | undefined,
  ): Promise<Result> {
    const isProbe = this.#enter()
    try {
      const result = await attempt()
      const problem = judge(result)
      if (problem === undefined) this.#onSuccess()
      else this.#onFailure(problem, isProbe)
      return result
    } catch (error) {
      if (error instanceof Failure && error.code === 'unavailable') this.#onFailure(error.message, isProbe)
      throw error
    } finally {
      if (isProbe) this.#isProbing = false
    }
  }

  #enter(): boolean {
    if (this.#openUntil === undefined) return false
    const remainingMs = this.#openUntil - this.#now()
    if (remainingMs <= 0 && !this.#isProbing) {
      this.#isProbing = true
      return true
    }
    const prefix = `${this.#host}: `
    const reason = this.#reason.startsWith(prefix) ? this.#reason.slice(prefix.length) : this.#reason
    throw new Failure('busy', `${this.#host} is not asked for now: ${reason}`, {
      source: this.#host,
      // Tells this failure from a limit of the host.
      cause: new Failure('unavailable', this.#reason),
      retryAfterMs: Math.max(remainingMs, 1000),
    })
  }

  #onSuccess(): void {
    this.#failures = 0
    this.#openings = 0
    if (this.#openUntil === undefined) return
    this.#openUntil = undefined
    this.#onChange(false, 'it answers again')
  }

  #onFailure(reason: string, isProbe: boolean): void {
    const wasOpen = this.#openUntil !== undefined
    // An attempt that began before the circuit opened must not prolong the pause.
    if (wasOpen && !isProbe) return
    this.#failures += 1
    if (!wasOpen && this.#failures < FAILURES_TO_OPEN) return
    this.#openings += 1
    const openMs = backoffMs(this.#openings, { firstMs: FIRST_OPEN_MS, jitter: 0.25, random: this.#random })
    this.#reason = reason
    this.#openUntil = this.#now() + Math.min(openMs, LONGEST_OPEN_MS)
    if (!wasOpen) this.#onChange(true, reason)
  }
}
