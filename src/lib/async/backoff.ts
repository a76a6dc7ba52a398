interface BackoffOptions {
  /** Before the first new attempt. */
  readonly firstMs: number
  /** It never becomes longer, before the jitter. Default: it may. */
  readonly maxMs?: number
  /** By up to this part of it, it is longer at random. Default: by none. */
  readonly jitter?: number
  readonly random?: () => number
}

/** How long to wait before the next attempt, when so many have failed: twice as long each time. */
export function backoffMs(
  failed: number,
  { firstMs, maxMs = Number.POSITIVE_INFINITY, jitter = 0, random = Math.random }: BackoffOptions,
): number {
  return Math.min(firstMs * 2 ** (failed - 1), maxMs) * (1 + jitter * random())
}
