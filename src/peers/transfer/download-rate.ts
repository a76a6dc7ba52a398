/** A rate is measured over this much time without a pause. */
const MEASURE_MS = 1000
/** A shorter time is enough when a pause follows it. */
const MIN_MEASURE_MS = 250
/** When no bytes arrive for this long, the time until the next bytes is not part of a measurement. */
const PAUSE_MS = 200
/** Fewer bytes may all come from a buffer on the way, and say nothing about the link. */
const MIN_BYTES = 256 * 1024
/** The best rate is forgotten after one to two of these. */
const BEST_PERIOD_MS = 15 * 60_000
/** The current rate is at most this old. */
const MAX_CURRENT_AGE_MS = 3000

/** Measures how fast this node receives content, from peers and from upstream together. */
export class DownloadRate {
  readonly #now: () => number
  #startedAtMs = Number.NEGATIVE_INFINITY
  #lastBytesAtMs = Number.NEGATIVE_INFINITY
  /** The bytes of the measurement under way, without those that arrived at its start. */
  #bytes = 0
  #last: { readonly bytesPerSecond: number; readonly atMs: number } | undefined
  #best = 0
  /** The best rate of the period before this one. */
  #previousBest = 0
  #periodStartedAtMs: number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#periodStartedAtMs = now()
  }

  /** Undefined when no rate was measured lately. */
  get bestBytesPerSecond(): number | undefined {
    this.#update(this.#now())
    return Math.max(this.#best, this.#previousBest) || undefined
  }

  get currentBytesPerSecond(): number | undefined {
    const nowMs = this.#now()
    this.#update(nowMs)
    const isCurrent = this.#last !== undefined && nowMs - this.#last.atMs <= MAX_CURRENT_AGE_MS
    return isCurrent ? this.#last?.bytesPerSecond : undefined
  }

  add(bytes: number): void {
    const nowMs = this.#now()
    this.#update(nowMs)
    this.#lastBytesAtMs = nowMs
    if (this.#startedAtMs === Number.NEGATIVE_INFINITY) {
      this.#startedAtMs = nowMs
      return
    }
    this.#bytes += bytes
    if (nowMs - this.#startedAtMs >= MEASURE_MS && this.#bytes >= MIN_BYTES) this.#measure(nowMs)
  }

  #update(nowMs: number): void {
    if (nowMs - this.#lastBytesAtMs >= PAUSE_MS) this.#pause()
    const ageMs = nowMs - this.#periodStartedAtMs
    if (ageMs >= BEST_PERIOD_MS) {
      this.#previousBest = ageMs >= 2 * BEST_PERIOD_MS ? 0 : this.#best
      this.#best = 0
      this.#periodStartedAtMs += BEST_PERIOD_MS * Math.floor(ageMs / BEST_PERIOD_MS)
    }
  }

  #pause(): void {
    const measuredMs = this.#lastBytesAtMs - this.#startedAtMs
    if (measuredMs >= MIN_MEASURE_MS && this.#bytes >= MIN_BYTES) this.#measure(this.#lastBytesAtMs)
    this.#startedAtMs = Number.NEGATIVE_INFINITY
    this.#bytes = 0
  }

  #measure(untilMs: number): void {
    const bytesPerSecond = Math.round((this.#bytes * 1000) / (untilMs - this.#startedAtMs))
    this.#best = Math.max(this.#best, bytesPerSecond)
    this.#last = { bytesPerSecond, atMs: untilMs }
    this.#startedAtMs = untilMs
    this.#bytes = 0
  }
}
