import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { type ByteRange, contentRange, parseRange, rangeApplies, unsatisfiedRange } from '../../oci/range.ts'
import { isMatched } from './preconditions.ts'

/** Some text, then a range of the content; both may be missing. */
export interface Part {
  readonly text: Buffer | undefined
  readonly range: ByteRange | undefined
}

/** Which bytes of a content answer a request, and what its headers say of them. */
export type Selection =
  | { readonly status: 200 | 206; readonly headers: OutgoingHttpHeaders; readonly parts: readonly Part[] }
  | { readonly status: 304 }
  | { readonly status: 412 }
  | { readonly status: 416; readonly headers: OutgoingHttpHeaders }

export interface Selectable {
  readonly size: number
  readonly contentType: string
  readonly etag: string
}

/** For what stands before the parts of one answer, all of them together. Media types come from upstream, of any length. */
const MOST_PART_HEADERS = 64 * 1024

/** Preconditions and ranges, in the order of RFC 9110 section 13.2.2. Range means nothing for HEAD. */
export function select(method: string, headers: IncomingHttpHeaders, of: Selectable): Selection {
  if (!isMatched(headers['if-match'], of.etag)) return { status: 412 }
  if (notModified(headers['if-none-match'], of.etag)) return { status: 304 }
  if (
    headers.range === undefined ||
    method !== 'GET' ||
    !rangeApplies(header(headers['if-range']), of.etag)
  ) {
    return whole(of)
  }
  const ranges = parseRange(headers.range, of.size)
  switch (ranges.kind) {
    case 'whole':
      return whole(of)
    case 'unsatisfiable':
      return { status: 416, headers: { 'Content-Range': unsatisfiedRange(of.size) } }
    case 'single':
      return single(ranges.range, of)
    case 'multiple':
      return multiple(ranges.ranges, of)
  }
}

/** RFC 9110 section 13.1.2, compared weakly. */
export function notModified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

function whole({ size, contentType }: Selectable): Selection {
  const headers = { 'Content-Type': contentType, 'Content-Length': size }
  return { status: 200, headers, parts: [{ text: undefined, range: { start: 0, end: size } }] }
}

function single(range: ByteRange, { size, contentType }: Selectable): Selection {
  const headers = {
    'Content-Type': contentType,
    'Content-Length': range.end - range.start,
    'Content-Range': contentRange(range, size),
  }
  return { status: 206, headers, parts: [{ text: undefined, range }] }
}

/** RFC 9110 section 14.6. The boundary is random, so that no content can have it inside. */
function multiple(ranges: readonly ByteRange[], of: Selectable): Selection {
  const { size, contentType } = of
  if (ranges.length * longestPartHeader(of) > MOST_PART_HEADERS) return whole(of)
  const boundary = randomBytes(18).toString('hex')
  const parts: Part[] = ranges.map((range, index) => {
    const opening = `${index === 0 ? '' : '\r\n'}--${boundary}\r\n`
    const about = `Content-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`
    return { text: Buffer.from(opening + about, 'latin1'), range }
  })
  parts.push({ text: Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'), range: undefined })
  const headers = {
    'Content-Type': `multipart/byteranges; boundary=${boundary}`,
    'Content-Length': lengthOf(parts),
  }
  return { status: 206, headers, parts }
}

/** An upper bound, so that nothing is written before it is known to fit. */
function longestPartHeader({ size, contentType }: Selectable): number {
  return 96 + contentType.length + 3 * String(size).length
}

function lengthOf(parts: readonly Part[]): number {
  return parts.reduce(
    (sum, { text, range }) => sum + (text?.length ?? 0) + (range === undefined ? 0 : range.end - range.start),
    0,
  )
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
