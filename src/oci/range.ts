/** The Range header, RFC 9110 section 14. */

/** Bytes `start` to `end`, `end` not included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export type Ranges =
  /** No header, one that is not understood, or too many ranges: the whole content is the answer. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'single'; readonly range: ByteRange }
  | { readonly kind: 'multiple'; readonly ranges: readonly ByteRange[] }

/** More of them are answered with the whole content: RFC 9110 section 14.2 lets a server ignore such a header. */
const MAX_RANGES = 256
/** A request's headers have no more together; a longer text is not from a request. */
const MAX_HEADER_LENGTH = 16 * 1024
const WHOLE: Ranges = { kind: 'whole' }
const UNSATISFIABLE: Ranges = { kind: 'unsatisfiable' }

export function parseRange(header: string | undefined, size: number): Ranges {
  // Some clients send `bytes=0-` with every request; for nothing at all that is the whole of it, as in Go's file server.
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

/** If-Range, RFC 9110 section 13.1.5: only a strong match keeps the Range header alive, and only entity tags are known here. */
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
 * Ranges in the order asked for, but overlapping ones joined, in order of offset. Neighbours that only touch stay apart:
 * podman's zstd:chunked reader counts the parts.
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
