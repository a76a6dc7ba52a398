import type { HttpHeaders } from '../http/messages.ts'

/** What an upstream says is left of what it allows, e.g. Docker Hub's pulls per six hours. */
export interface Quota {
  readonly limit: number | undefined
  readonly remaining: number
  readonly windowSeconds: number | undefined
}

const SHAPE = /^\s*(\d{1,12})\s*(?:;\s*w=(\d{1,12}))?/i

/** From `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 99;w=21600`. */
export function readQuota(headers: HttpHeaders): Quota | undefined {
  const remaining = SHAPE.exec(headers.get('ratelimit-remaining') ?? '')
  if (remaining === null) return undefined
  const limit = SHAPE.exec(headers.get('ratelimit-limit') ?? '')
  const window = remaining[2] ?? limit?.[2]
  return {
    limit: limit === null ? undefined : Number(limit[1]),
    remaining: Number(remaining[1]),
    windowSeconds: window === undefined ? undefined : Number(window),
  }
}
