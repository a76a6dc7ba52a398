/** The bytes from `start` to `end`, `end` not included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export type Ranges =
  /** The whole content is the answer when there is no Range header, an invalid one, or one with too many ranges. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'single'; readonly range: ByteRange }
  | { readonly kind: 'multiple'; readonly ranges: readonly ByteRange[] }

/** A header with more ranges is ignored, which RFC 9110 section 14.2 permits. */
const MAX_RANGES = 256
/** A longer text cannot come from a request: the limit for all headers of a request is lower. */
const MAX_HEADER_LENGTH = 16 * 1024
const WHOLE: Ranges = { kind: 'whole' }
const UNSATISFIABLE: Ranges = { kind: 'unsatisfiable' }

/** Parses a Range header (RFC 9110 section 14.2). */
export function parseRange(header: string | undefined, size: number): Ranges {
  // Some clients send `bytes=0-` with every request. For an empty content that is the whole, as in Go's file server.
  if (header === undefined || size === 0 || header.length > MAX_HEADER_LENGTH) return WHOLE
  const specs = /^\s*bytes\s*=(.*)$/i.exec(header)?.[1]?.split(',')
  if (specs === undefined) return WHOLE
  const asked: ByteRange[] = []
  let isAsked = false
  for (const spec of specs) {
    const text = spec.trim()
    if (text === '') continue
    isAsked = true
    const range = parseSpec(text, size)
    if (range === 'malformed') return WHOLE
    if (range !== undefined) asked.push(range)
  }
  if (!isAsked) return WHOLE
  const ranges = withoutOverlaps(asked)
  const [first] = ranges
  if (first === undefined) return UNSATISFIABLE
  if (ranges.length === 1) return { kind: 'single', range: first }
  return ranges.length <= MAX_RANGES ? { kind: 'multiple', ranges } : WHOLE
}

/**
 * Whether a Range header names only ranges with an end. A range without one is how clients continue a body that has broken off;
 * it says nothing of what the client wants first.
 */
export function haveEnds(header: string | undefined): boolean {
  const specs = /^\s*bytes\s*=(.*)$/i.exec(header ?? '')?.[1]?.split(',') ?? []
  return specs.length > 0 && specs.every((spec) => /\d\s*$/.test(spec))
}

/**
 * Evaluates If-Range (RFC 9110 section 13.1.5). The comparison is strong. A date never matches, because only entity tags
 * are compared.
 */
export function rangeApplies(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag
}

export function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`
}

export function unsatisfiedRange(size: number): string {
  return `bytes */${size}`
}

function parseSpec(text: string, size: number): ByteRange | 'malformed' | undefined {
  const dash = text.indexOf('-')
  const first = text.slice(0, dash)
  const last = text.slice(dash + 1)
  if (dash < 0 || !isDigits(first) || !isDigits(last) || (first === '' && last === '')) return 'malformed'
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? undefined : { start: size - length, end: size }
  }
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  return start < end ? { start, end } : undefined
}

function isDigits(text: string): boolean {
  return /^\d*$/.test(text)
}

/**
 * Gives the ranges in the requested order. When some overlap, these are joined, and all are sorted by offset. Adjacent
 * ranges are not joined, because podman's zstd:chunked reader counts the parts.
 */
function withoutOverlaps(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  const joined: ByteRange[] = []
  for (const range of sorted) {
    const before = joined.at(-1)
    if (before === undefined || range.start >= before.end) joined.push(range)
    else joined[joined.length - 1] = { start: before.start, end: Math.max(before.end, range.end) }
  }
  return joined.length === ranges.length ? ranges : joined
}
