interface BackoffOptions {
  /** The wait before the second attempt. */
  readonly firstMs: number
  /** The longest wait, jitter not included; undefined: no limit. */
  readonly maxMs?: number
  /** The wait becomes longer at random, by at most this part of it. */
  readonly jitter?: number
  readonly random?: () => number
}

/** Gives the wait before the next attempt after `failed` attempts: twice as long each time. */
export function backoffMs(
  failed: number,
  { firstMs, maxMs = Number.POSITIVE_INFINITY, jitter = 0, random = Math.random }: BackoffOptions,
): number {
  return Math.min(firstMs * 2 ** (failed - 1), maxMs) * (1 + jitter * random())
}
