/** How fast is told of what has come in so long, without a pause. */
const SPAN_MS = 1000
/** Or in so long, when nothing more has come after it. */
const SHORT_MS = 250
const PAUSE_MS = 200
/** So little tells nothing. */
const FEW_BYTES = 256 * 1024
/** It is forgotten in one to two of these. */
const AGE_MS = 15 * 60_000
/** What it is now is as old as this at most. */
const NOW_MS = 3000

/** How fast this node receives content, from peers and from upstream together, in bytes per second. */
export class Reception {
  readonly #clock: () => number
  #startedAt = Number.NEGATIVE_INFINITY
  #heardAt = Number.NEGATIVE_INFINITY
  /** After what came first. */
  #bytes = 0
  #last: { readonly rate: number; readonly at: number } | undefined
  #best = 0
  /** Of the age before this one. */
  #bestBefore = 0
  #ageAt: number

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
    this.#ageAt = clock()
  }

  /** Undefined when it has not shown of late. */
  get best(): number | undefined {
    this.#look(this.#clock())
    return Math.max(this.#best, this.#bestBefore) || undefined
  }

  get now(): number | undefined {
    const now = this.#clock()
    this.#look(now)
    return this.#last !== undefined && now - this.#last.at <= NOW_MS ? this.#last.rate : undefined
  }

  /** So many bytes have come. */
  add(bytes: number): void {
    const now = this.#clock()
    this.#look(now)
    this.#heardAt = now
    if (this.#startedAt === Number.NEGATIVE_INFINITY) {
      this.#startedAt = now
      return
    }
    this.#bytes += bytes
    if (now - this.#startedAt >= SPAN_MS && this.#bytes >= FEW_BYTES) this.#measure(now)
  }

  #look(now: number): void {
    if (now - this.#heardAt >= PAUSE_MS) this.#pause()
    const age = now - this.#ageAt
    if (age >= AGE_MS) {
      this.#bestBefore = age >= 2 * AGE_MS ? 0 : this.#best
      this.#best = 0
      this.#ageAt += AGE_MS * Math.floor(age / AGE_MS)
    }
  }

  #pause(): void {
    if (this.#heardAt - this.#startedAt >= SHORT_MS && this.#bytes >= FEW_BYTES) this.#measure(this.#heardAt)
    this.#startedAt = Number.NEGATIVE_INFINITY
    this.#bytes = 0
  }

  #measure(until: number): void {
    const rate = Math.round((this.#bytes * 1000) / (until - this.#startedAt))
    this.#best = Math.max(this.#best, rate)
    this.#last = { rate, at: until }
    this.#startedAt = until
    this.#bytes = 0
  }
}
