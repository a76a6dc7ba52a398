/** A longer wait is a mistake of the server; callers have lower limits of their own. */
const LONGEST_MS = 24 * 60 * 60 * 1000

/** Parses `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3), into milliseconds from `now`. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), LONGEST_MS)
}
