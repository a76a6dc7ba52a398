import { once } from 'node:events'
import { type Events, subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'

/** Observes the ends of the flights of a digest, from its construction on. It must be closed. */
export class FlightEnds {
  readonly #unsubscribe: () => void
  readonly #ends = new EventTarget()
  #last: Events['flight.ended'] | undefined
  #hasUnseenEnd = false

  constructor(digest: Digest) {
    this.#unsubscribe = subscribe('flight.ended', (end) => {
      if (end.digest !== digest) return
      this.#last = end
      this.#hasUnseenEnd = true
      this.#ends.dispatchEvent(new Event('end'))
    })
  }

  get last(): Events['flight.ended'] | undefined {
    return this.#last
  }

  /** Resolves when a flight has ended since the last call. A flight has deadlines of its own, so it does end. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#hasUnseenEnd) await once(this.#ends, 'end', { signal })
    this.#hasUnseenEnd = false
  }

  close(): void {
    this.#unsubscribe()
  }
}
