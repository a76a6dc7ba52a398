import { once } from 'node:events'
import { type Events, subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'

/** Sees the transfers of a digest end, from the moment on when it is made. To be closed. */
export class Landing {
  readonly #unsubscribe: () => void
  readonly #ends = new EventTarget()
  #last: Events['flight.ended'] | undefined
  #isNews = false

  constructor(digest: Digest) {
    this.#unsubscribe = subscribe('flight.ended', (fact) => {
      if (fact.digest !== digest) return
      this.#last = fact
      this.#isNews = true
      this.#ends.dispatchEvent(new Event('end'))
    })
  }

  /** What the last one came to. */
  get last(): Events['flight.ended'] | undefined {
    return this.#last
  }

  /** One has ended that was not waited for yet. A transfer has deadlines of its own, so that it does end. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#isNews) await once(this.#ends, 'end', { signal })
    this.#isNews = false
  }

  close(): void {
    this.#unsubscribe()
  }
}
