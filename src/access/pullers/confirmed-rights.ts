import { BoundedMap } from '../../lib/bounded-map.ts'
import type { WantedContent } from '../../ports/access/pull-rights.ts'

/** How long a right counts without asking the registry again. */
const CONFIRMED_MS = 5 * 60_000
/** How long a denial counts: briefly, because credentials are often corrected while a client tries again. */
const DENIED_MS = 30_000
const MOST_RIGHTS = 4096

interface ConfirmedRight {
  readonly at: number
  /** What the registry was asked for when it confirmed the right. */
  readonly content: WantedContent
}

/**
 * Remembers what registries have said about rights. A right is of a repository; a denial is of one content, because a
 * registry also denies what it does not have.
 */
export class ConfirmedRights {
  readonly #confirmed = new BoundedMap<string, ConfirmedRight>(MOST_RIGHTS)
  readonly #denied: BoundedMap<string, true>
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#denied = new BoundedMap(MOST_RIGHTS, { ttlMs: DENIED_MS, now })
  }

  /** Whether the right was confirmed lately; with `staleMs`, whether it was confirmed in that time. */
  isConfirmed(right: string, staleMs = CONFIRMED_MS): boolean {
    const at = this.#confirmed.get(right)?.at
    return at !== undefined && this.#now() - at < staleMs
  }

  /** The content that the registry gave when it confirmed the right; undefined when the right is not confirmed. */
  contentOf(right: string): WantedContent | undefined {
    return this.#confirmed.get(right)?.content
  }

  isDenied(right: string, content: string): boolean {
    return this.#denied.has(`${right} ${content}`)
  }

  confirm(right: string, content: WantedContent): void {
    this.#confirmed.set(right, { at: this.#now(), content })
  }

  deny(right: string, content: string): void {
    this.#confirmed.delete(right)
    this.#denied.set(`${right} ${content}`, true)
  }
}
