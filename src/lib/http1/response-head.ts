import { HttpHeaders } from './headers.ts'

/** A response head that is not HTTP/1.1, or is outside the strict subset that this parser accepts. */
export class InvalidHeadError extends Error {
  constructor(why: string) {
    super(`broken response head: ${why}`)
    this.name = 'InvalidHeadError'
  }
}

export interface ResponseHead {
  readonly status: number
  readonly headers: HttpHeaders
  /**
   * How the body ends (RFC 9112, 6.3): after this many bytes; `undeclared`: chunked, or at the end of the connection.
   */
  readonly length: number | 'undeclared'
  /** Whether the connection can be reused after the body. */
  readonly keepsAlive: boolean
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?$/
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible characters, blanks and bytes beyond ASCII (obs-text), but no control characters. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const MOST_HEADERS = 200

/** The index after the empty line that ends the head, or -1. `from` is the index of the first new byte. */
export function endOfHead(bytes: Buffer, from: number): number {
  const found = bytes.indexOf('\r\n\r\n', Math.max(0, from - 3), 'latin1')
  return found < 0 ? -1 : found + 4
}

function lengthOf(headers: HttpHeaders): number | 'undeclared' {
  const codings = headers.all('transfer-encoding')
  const lengths = headers.all('content-length')
  // Both headers together are a sign of response smuggling (RFC 9112, 6.1).
  if (codings.length > 0 && lengths.length > 0) throw new InvalidHeadError('two ways to end the body')
  if (codings.length > 0 || lengths.length === 0) return 'undeclared'
  const [first = ''] = lengths
  if (lengths.some((other) => other !== first) || !/^\d{1,15}$/.test(first)) {
    throw new InvalidHeadError('not a Content-Length')
  }
  return Number(first)
}

/** Parses the head of an answer to GET more strictly than RFC 9112: no folding, no bare LF. */
export function parseResponseHead(bytes: Buffer): ResponseHead {
  const lines = bytes.toString('latin1').split('\r\n')
  const match = STATUS_LINE.exec(lines[0] ?? '')
  if (match === null) throw new InvalidHeadError('not a status line')
  const fields = lines.slice(1, -2)
  if (fields.length > MOST_HEADERS) throw new InvalidHeadError('too many headers')
  const pairs = fields.map((line): [string, string] => {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (colon < 1 || !NAME.test(name) || !VALUE.test(value)) throw new InvalidHeadError('not a header')
    return [name, value]
  })
  const headers = new HttpHeaders(pairs)
  const status = Number(match[2])
  const bodiless = status < 200 || status === 204 || status === 304
  const length = bodiless ? 0 : lengthOf(headers)
  const connection = headers.all('connection').join(',').toLowerCase()
  const closes = match[1] === '0' ? !/\bkeep-alive\b/.test(connection) : /\bclose\b/.test(connection)
  return { status, headers, length, keepsAlive: !closes && length !== 'undeclared' }
}
