import type { HttpHeaders } from '../../lib/http1/headers.ts'

/** How many requests a registry still allows, such as Docker Hub's pulls per six hours. */
export interface Quota {
  readonly limit: number | undefined
  readonly remaining: number
  readonly windowSeconds: number | undefined
}

const LIMIT_VALUE = /^\s*(\d{1,12})\s*(?:;\s*w=(\d{1,12}))?/i

/** Parses the headers `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 99;w=21600`. */
export function parseQuota(headers: HttpHeaders): Quota | undefined {
  const remaining = LIMIT_VALUE.exec(headers.get('ratelimit-remaining') ?? '')
  if (remaining === null) return undefined
  const limit = LIMIT_VALUE.exec(headers.get('ratelimit-limit') ?? '')
  const window = remaining[2] ?? limit?.[2]
  return {
    limit: limit === null ? undefined : Number(limit[1]),
    remaining: Number(remaining[1]),
    windowSeconds: window === undefined ? undefined : Number(window),
  }
}
