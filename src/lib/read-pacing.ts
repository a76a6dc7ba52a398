/** A read costs the same however few bytes it brings; with this many it costs little for each. */
const GATHER_BYTES = 256 * 1024
/** Readers of a slow content do not notice a wait of 40 ms. */
const MAX_WAIT_MS = 40
/** A connection that brings enough within so short a time is never made to wait. */
const MIN_WAIT_MS = 4
/** The rate is measured over so many waits, and over at least this time. */
const MEASURED_WAITS = 6
const MEASURE_MS = 16
/** A longer wait that costs more than this share of the rate is taken back: the other side had to wait, too. */
const TOLERATED_LOSS = 0.3
/** For so many measurements after that the wait is not made longer. */
const HOLD_MEASUREMENTS = 25

/** The reading of one connection. */
export interface PacedReading {
  pause(): void
  /** Also called after `stop`, so it must look whether reading is wanted. */
  resume(): void
}

/**
 * Lets the small pieces of a slow connection gather in the kernel before they are read. The wait begins with a few
 * milliseconds and becomes longer as long as the rate stays: the memory of the kernel for one connection may be small, and a
 * wait that fills it would make the connection slower.
 */
export class ReadPacing {
  readonly #reading: PacedReading
  readonly #now: () => number
  #waitMs = 0
  /** The rate before the wait was made longer, until the rate after that is known. */
  #rateBefore: number | undefined
  #held = 0
  #measuredSince: number
  #measuredBytes = 0
  #pausing: NodeJS.Immediate | undefined
  #waiting: NodeJS.Timeout | undefined

  constructor(reading: PacedReading, now: () => number = () => performance.now()) {
    this.#reading = reading
    this.#now = now
    this.#measuredSince = now()
  }

  /** A body begins: its first bytes are read as they come. */
  begin(): void {
    this.stop()
    this.#waitMs = 0
    this.#rateBefore = undefined
    this.#held = 0
    this.#measuredSince = this.#now()
    this.#measuredBytes = 0
  }

  /** For how long the next read would wait. */
  get waitMs(): number {
    return this.#waitMs
  }

  /**
   * Takes note of a read. It may pause the reading for a while, but only when all that has come is read: a TLS connection
   * gives its bytes in many small pieces.
   */
  onRead(bytes: number): void {
    this.#measuredBytes += bytes
    const elapsedMs = this.#now() - this.#measuredSince
    if (elapsedMs >= Math.max(MEASURE_MS, MEASURED_WAITS * this.#waitMs)) this.#adapt(elapsedMs)
    if (this.#waitMs === 0 || this.#waiting !== undefined) return
    this.#pausing ??= setImmediate(() => this.#wait())
  }

  /** Ends a pause that is to come or under way, without resuming. */
  stop(): void {
    clearImmediate(this.#pausing)
    clearTimeout(this.#waiting)
    this.#pausing = undefined
    this.#waiting = undefined
  }

  #wait(): void {
    this.#pausing = undefined
    this.#reading.pause()
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined
      this.#reading.resume()
    }, this.#waitMs)
  }

  #adapt(elapsedMs: number): void {
    const rate = this.#measuredBytes / elapsedMs
    this.#measuredSince += elapsedMs
    this.#measuredBytes = 0
    const before = this.#rateBefore
    this.#rateBefore = undefined
    if (before !== undefined && rate < before * (1 - TOLERATED_LOSS)) {
      this.#waitMs = shorter(this.#waitMs)
      this.#held = HOLD_MEASUREMENTS
      return
    }
    const wanted = Math.min(MAX_WAIT_MS, GATHER_BYTES / rate)
    if (wanted < Math.max(MIN_WAIT_MS, this.#waitMs)) this.#waitMs = wanted < MIN_WAIT_MS ? 0 : wanted
    else if (this.#held > 0) this.#held -= 1
    else if (wanted > this.#waitMs) {
      this.#waitMs = Math.min(wanted, Math.max(MIN_WAIT_MS, 2 * this.#waitMs))
      this.#rateBefore = rate
    }
  }
}

function shorter(waitMs: number): number {
  return waitMs / 2 < MIN_WAIT_MS ? 0 : waitMs / 2
}
