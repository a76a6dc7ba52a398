import { BoundedMap } from '../../lib/bounded-map.ts'

/** How long a right counts without asking the registry again. */
const CONFIRMED_MS = 5 * 60_000
/** How long a denial counts: briefly, because credentials are often corrected while a client tries again. */
const DENIED_MS = 30_000
const MOST_RIGHTS = 4096

/**
 * Remembers what registries have said about rights. A right is of a repository; a denial is of one content, because a
 * registry also denies what it does not have.
 */
export class ConfirmedRights {
  readonly #confirmedAt = new BoundedMap<string, number>(MOST_RIGHTS)
  readonly #denied: BoundedMap<string, true>
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#denied = new BoundedMap(MOST_RIGHTS, { ttlMs: DENIED_MS, now })
  }

  /** Whether the right was confirmed lately; with `staleMs`, whether it was confirmed in that time. */
  isConfirmed(right: string, staleMs = CONFIRMED_MS): boolean {
    const at = this.#confirmedAt.get(right)
    return at !== undefined && this.#now() - at < staleMs
  }

  isDenied(right: string, content: string): boolean {
    return this.#denied.has(`${right} ${content}`)
  }

  confirm(right: string): void {
    this.#confirmedAt.set(right, this.#now())
  }

  deny(right: string, content: string): void {
    this.#confirmedAt.delete(right)
    this.#denied.set(`${right} ${content}`, true)
  }
}
