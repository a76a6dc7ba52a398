import { BoundedMap } from '../../lib/bounded-map.ts'

/** Bounds the remembered URLs of one host. Only content whose attempt broke off, or of which a range is read, needs one again. */
const MOST_TARGETS = 256
/** A storage may withdraw a URL that says nothing of its end. */
const MOST_MS = 5 * 60_000
/** A URL that is about to expire is not worth a request. */
const MARGIN_MS = 10_000

interface Target {
  readonly url: URL
  readonly until: number
}

/**
 * Where a registry's redirects have led for content that was found there, so that a request for the rest of it need not ask the
 * registry again. The URLs are signed, and secret.
 */
export class RedirectTargets {
  readonly #now: () => number
  readonly #targets = new BoundedMap<string, Target>(MOST_TARGETS)

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  find({ href }: URL): URL | undefined {
    const target = this.#targets.get(href)
    if (target === undefined || target.until > this.#now()) return target?.url
    this.#targets.delete(href)
    return undefined
  }

  remember({ href }: URL, url: URL): void {
    const now = this.#now()
    const until = Math.min(now + MOST_MS, (expiryOf(url) ?? Number.POSITIVE_INFINITY) - MARGIN_MS)
    if (until > now) this.#targets.set(href, { url, until })
  }

  forget({ href }: URL): void {
    this.#targets.delete(href)
  }
}

/** When a signed URL expires, in milliseconds since the epoch, as far as it says so in a form of the large clouds. */
export function expiryOf({ searchParams }: URL): number | undefined {
  for (const cloud of ['X-Amz', 'X-Goog']) {
    const seconds = numberOf(searchParams.get(`${cloud}-Expires`))
    const signedAt = basicTime(searchParams.get(`${cloud}-Date`))
    if (seconds !== undefined && signedAt !== undefined) return signedAt + seconds * 1000
  }
  const unixSeconds = numberOf(searchParams.get('Expires'))
  if (unixSeconds !== undefined) return unixSeconds * 1000
  // Azure: `se` is a time of ISO 8601.
  const end = Date.parse(searchParams.get('se') ?? '')
  return Number.isNaN(end) ? undefined : end
}

function numberOf(text: string | null): number | undefined {
  return text !== null && /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

/** Reads `20260131T235959Z`. */
function basicTime(text: string | null): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '')
  if (found === null) return undefined
  const [, year, month, day, hour, minute, second] = found
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(time) ? undefined : time
}
