interface Backoff {
  /** Before the first new attempt. */
  readonly firstMs: number
  /** It never becomes longer, before the jitter. Default: it may. */
  readonly mostMs?: number
  /** By up to this part of it, it is longer at random. Default: by none. */
  readonly jitter?: number
  readonly random?: () => number
}

/** How long to wait before the next attempt, when so many have failed: twice as long each time. */
export function backoffMs(
  failed: number,
  { firstMs, mostMs = Number.POSITIVE_INFINITY, jitter = 0, random = Math.random }: Backoff,
): number {
  return Math.min(firstMs * 2 ** (failed - 1), mostMs) * (1 + jitter * random())
}
