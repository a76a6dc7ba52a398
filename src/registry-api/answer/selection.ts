import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { type ByteRange, contentRange, parseRange, rangeApplies, unsatisfiedRange } from '../../oci/range.ts'
import { ifMatchHolds, isNotModified } from './preconditions.ts'

/** A part of a body: some text, then a range of the content. Either may be missing. */
export interface BodyPart {
  readonly text: Buffer | undefined
  readonly range: ByteRange | undefined
}

/** The bytes of a content that answer a request, with the status and headers for them. */
export type Selection =
  | { readonly status: 200 | 206; readonly headers: OutgoingHttpHeaders; readonly parts: readonly BodyPart[] }
  | { readonly status: 304 }
  | { readonly status: 412 }
  | { readonly status: 416; readonly headers: OutgoingHttpHeaders }

/** What a request selects from (RFC 9110 section 3.2). */
export interface Representation {
  readonly size: number
  readonly contentType: string
  readonly etag: string
}

/** Limits the headers of all parts of one answer together: the media type in each comes from upstream, of any length. */
const MAX_PART_HEADER_BYTES = 64 * 1024

/** Evaluates preconditions and ranges in the order of RFC 9110 section 13.2.2. Range applies to GET only. */
export function select(
  method: string,
  headers: IncomingHttpHeaders,
  representation: Representation,
): Selection {
  if (!ifMatchHolds(headers['if-match'], representation.etag)) return { status: 412 }
  if (isNotModified(headers['if-none-match'], representation.etag)) return { status: 304 }
  if (
    headers.range === undefined ||
    method !== 'GET' ||
    !rangeApplies(joined(headers['if-range']), representation.etag)
  ) {
    return whole(representation)
  }
  const ranges = parseRange(headers.range, representation.size)
  switch (ranges.kind) {
    case 'whole':
      return whole(representation)
    case 'unsatisfiable':
      return { status: 416, headers: { 'Content-Range': unsatisfiedRange(representation.size) } }
    case 'single':
      return single(ranges.range, representation)
    case 'multiple':
      return multiple(ranges.ranges, representation)
  }
}

function whole({ size, contentType }: Representation): Selection {
  const headers = { 'Content-Type': contentType, 'Content-Length': size }
  return { status: 200, headers, parts: [{ text: undefined, range: { start: 0, end: size } }] }
}

function single(range: ByteRange, { size, contentType }: Representation): Selection {
  const headers = {
    'Content-Type': contentType,
    'Content-Length': range.end - range.start,
    'Content-Range': contentRange(range, size),
  }
  return { status: 206, headers, parts: [{ text: undefined, range }] }
}

/** A `multipart/byteranges` body (RFC 9110 section 14.6). The boundary is random, so that no content can contain it. */
function multiple(ranges: readonly ByteRange[], representation: Representation): Selection {
  const { size, contentType } = representation
  if (ranges.length * maxPartHeaderBytes(representation) > MAX_PART_HEADER_BYTES) return whole(representation)
  const boundary = randomBytes(18).toString('hex')
  const parts: BodyPart[] = ranges.map((range, index) => {
    const delimiter = `${index === 0 ? '' : '\r\n'}--${boundary}\r\n`
    const partHeaders = `Content-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`
    return { text: Buffer.from(delimiter + partHeaders, 'latin1'), range }
  })
  parts.push({ text: Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'), range: undefined })
  const headers = {
    'Content-Type': `multipart/byteranges; boundary=${boundary}`,
    'Content-Length': lengthOf(parts),
  }
  return { status: 206, headers, parts }
}

/** Gives an upper bound, which is known before any header is built. */
function maxPartHeaderBytes({ size, contentType }: Representation): number {
  return 96 + contentType.length + 3 * String(size).length
}

function lengthOf(parts: readonly BodyPart[]): number {
  return parts.reduce(
    (sum, { text, range }) => sum + (text?.length ?? 0) + (range === undefined ? 0 : range.end - range.start),
    0,
  )
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
