/** However often something happens, it is reported at once and then at most once in this time. */
const INTERVAL_MS = 60_000
/** Clients choose what is reported, so the number of keys is bounded. */
const MOST_KEYS = 200

interface Repeat<Facts> {
  facts: Facts
  /** How often it has happened since the last report. */
  times: number
  timer: NodeJS.Timeout
}

interface RepeatsOptions {
  readonly intervalMs?: number
  readonly mostKeys?: number
}

/**
 * Reports the first occurrence of each key at once, and the following ones together, once in an interval. While too many
 * keys are known, the occurrences of further ones are reported under one of them.
 */
export class Repeats<Facts> {
  readonly #report: (facts: Facts, times: number) => void
  readonly #intervalMs: number
  readonly #mostKeys: number
  readonly #repeats = new Map<string, Repeat<Facts>>()

  constructor(
    report: (facts: Facts, times: number) => void,
    { intervalMs = INTERVAL_MS, mostKeys = MOST_KEYS }: RepeatsOptions = {},
  ) {
    this.#report = report
    this.#intervalMs = intervalMs
    this.#mostKeys = mostKeys
  }

  add(wanted: string, facts: Facts): void {
    const isFull = !this.#repeats.has(wanted) && this.#repeats.size >= this.#mostKeys
    const key = isFull ? '' : wanted
    const known = this.#repeats.get(key)
    if (known !== undefined) {
      known.facts = facts
      known.times += 1
      return
    }
    this.#repeats.set(key, { facts, times: 0, timer: this.#timer(key) })
    this.#report(facts, 1)
  }

  /** Reports what has not been reported yet. */
  close(): void {
    for (const { facts, times, timer } of this.#repeats.values()) {
      clearTimeout(timer)
      if (times > 0) this.#report(facts, times)
    }
    this.#repeats.clear()
  }

  #timer(key: string): NodeJS.Timeout {
    return setTimeout(() => this.#onInterval(key), this.#intervalMs).unref()
  }

  #onInterval(key: string): void {
    const repeat = this.#repeats.get(key)
    if (repeat === undefined) return
    const { facts, times } = repeat
    if (times === 0) {
      this.#repeats.delete(key)
      return
    }
    repeat.times = 0
    repeat.timer = this.#timer(key)
    this.#report(facts, times)
  }
}
