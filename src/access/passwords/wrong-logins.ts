import { onAbort } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { addressGroup } from '../../lib/client-address.ts'
import { publish } from '../../observe/events.ts'

const MOST_WRONG = 5
const WINDOW_MS = 60_000
const MOST_ADDRESSES = 4096
/** How many logins of one address wait until fewer are being verified. */
const MOST_WAITING = 64

interface Attempts {
  wrongAt: readonly number[]
  underWay: number
  /** Those that wait until an attempt has ended. */
  readonly waiting: Set<() => void>
}

export type Attempt =
  | { readonly kind: 'may-try'; readonly end: (isRight: boolean) => void }
  /** Too many logins were wrong. */
  | { readonly kind: 'must-wait'; readonly retryAfterMs: number }
  /** As many logins are being verified as may be wrong, and none has ended in time. */
  | { readonly kind: 'no-place' }

/**
 * Counts the wrong logins of each address. No more are verified at a time than may still be wrong, so that many at once guess no
 * more than one after another; the others wait for a place, and only a login that was wrong counts.
 */
export class WrongLogins {
  readonly #now: () => number
  readonly #most: number
  readonly #byAddress: BoundedMap<string, Attempts>

  constructor(now: () => number = () => performance.now(), most = MOST_WRONG) {
    this.#now = now
    this.#most = most
    this.#byAddress = new BoundedMap(MOST_ADDRESSES, { now })
  }

  /** Whoever may try calls `end` once. Waits for a place until the signal is aborted. */
  async begin(address: string, { signal }: { signal: AbortSignal }): Promise<Attempt> {
    const group = addressGroup(address)
    const attempts = this.#byAddress.get(group) ?? { wrongAt: [], underWay: 0, waiting: new Set() }
    for (;;) {
      const now = this.#now()
      attempts.wrongAt = attempts.wrongAt.filter((at) => now - at < WINDOW_MS)
      const [oldest] = attempts.wrongAt
      if (oldest !== undefined && attempts.wrongAt.length >= this.#most)
        return { kind: 'must-wait', retryAfterMs: oldest + WINDOW_MS - now }
      if (attempts.wrongAt.length + attempts.underWay < this.#most) break
      if (attempts.waiting.size >= MOST_WAITING || !(await nextEnd(attempts, signal)))
        return { kind: 'no-place' }
    }
    attempts.underWay += 1
    this.#byAddress.set(group, attempts)
    return { kind: 'may-try', end: (isRight) => this.#end(group, attempts, isRight) }
  }

  #end(group: string, attempts: Attempts, isRight: boolean): void {
    attempts.underWay -= 1
    if (!isRight) attempts.wrongAt = [...attempts.wrongAt, this.#now()]
    if (attempts.wrongAt.length === this.#most && !isRight) publish('access.slowed', { address: group })
    const waiting = [...attempts.waiting]
    attempts.waiting.clear()
    for (const wake of waiting) wake()
    const isUnused = attempts.underWay === 0 && attempts.wrongAt.length === 0 && waiting.length === 0
    if (isUnused) this.#byAddress.delete(group)
  }
}

/** Waits until an attempt has ended; false: the signal was aborted before. */
function nextEnd({ waiting }: Attempts, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const wake = (): void => {
      stop()
      resolve(true)
    }
    waiting.add(wake)
    const stop = onAbort(signal, () => {
      waiting.delete(wake)
      resolve(false)
    })
  })
}
