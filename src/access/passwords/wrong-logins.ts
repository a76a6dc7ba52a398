import { BoundedMap } from '../../lib/bounded-map.ts'
import { addressGroup } from '../../lib/client-address.ts'
import { publish } from '../../observe/events.ts'

const MOST_WRONG = 5
const WINDOW_MS = 60_000
/** How long a client waits that sends more passwords at once than may be wrong. */
const SHORT_WAIT_MS = 1000
const MOST_ADDRESSES = 4096

interface Attempts {
  wrongAt: readonly number[]
  underWay: number
}

export type Attempt =
  | { readonly kind: 'may-try'; readonly end: (isRight: boolean) => void }
  | { readonly kind: 'must-wait'; readonly retryAfterMs: number }

/** Counts the wrong passwords of each address. Passwords that are being verified count, until they prove to be right. */
export class WrongLogins {
  readonly #now: () => number
  readonly #most: number
  readonly #byAddress: BoundedMap<string, Attempts>

  constructor(now: () => number = () => performance.now(), most = MOST_WRONG) {
    this.#now = now
    this.#most = most
    this.#byAddress = new BoundedMap(MOST_ADDRESSES, { now })
  }

  /** Whoever may try calls `end` once. */
  begin(address: string): Attempt {
    const group = addressGroup(address)
    const attempts = this.#byAddress.get(group) ?? { wrongAt: [], underWay: 0 }
    const now = this.#now()
    attempts.wrongAt = attempts.wrongAt.filter((at) => now - at < WINDOW_MS)
    const [oldest] = attempts.wrongAt
    if (oldest !== undefined && attempts.wrongAt.length >= this.#most)
      return { kind: 'must-wait', retryAfterMs: oldest + WINDOW_MS - now }
    if (attempts.wrongAt.length + attempts.underWay >= this.#most)
      return { kind: 'must-wait', retryAfterMs: SHORT_WAIT_MS }
    attempts.underWay += 1
    this.#byAddress.set(group, attempts)
    const end = (isRight: boolean): void => {
      attempts.underWay -= 1
      if (!isRight) attempts.wrongAt = [...attempts.wrongAt, this.#now()]
      if (attempts.wrongAt.length === this.#most && !isRight) publish('access.slowed', { address: group })
      if (attempts.underWay === 0 && attempts.wrongAt.length === 0) this.#byAddress.delete(group)
    }
    return { kind: 'may-try', end }
  }
}
