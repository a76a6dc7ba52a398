import { isIPv6 } from 'node:net'

/** The length of the longest text form of an IPv6 address. */
const MAX_IPV6_LENGTH = 45
const MISSING_HOST = 'the request has no Host header'
const DUPLICATE_HOST = 'the request has more than one Host header'
const INVALID_HOST =
  'the host of the request is invalid: expected a host name or IP address, optionally with a port'
const HOST_MISMATCH = 'the Host header does not match the :authority pseudo-header'

/** RFC 3986 section 2: `unreserved` and `sub-delims`. */
const NAME_CHARACTERS = characterTable(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=",
)
const HEX_DIGITS = characterTable('0123456789ABCDEFabcdef')
const DIGITS = characterTable('0123456789')
const COLON = 58
const PERCENT = 37

/**
 * Describes what is wrong with the Host header of an HTTP/1 request (RFC 9112 section 3.2). Of repeated headers Node
 * keeps one or joins them, so the raw headers are checked. The check runs for every request, so it uses no regular
 * expressions.
 */
export function hostHeaderProblem(
  rawHeaders: readonly string[],
  httpVersionMinor: number,
): string | undefined {
  let host: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (!isHostHeader(rawHeaders[index])) continue
    if (host !== undefined) return DUPLICATE_HOST
    host = rawHeaders[index + 1] ?? ''
  }
  if (host === undefined) return httpVersionMinor > 0 ? MISSING_HOST : undefined
  return isValidHost(host) ? undefined : INVALID_HOST
}

/**
 * Describes what is wrong with the host of a request over HTTP/2, where `:authority` replaces the Host header or
 * accompanies it (RFC 9113 section 8.3.1).
 */
export function authorityProblem(rawHeaders: readonly string[]): string | undefined {
  let host: string | undefined
  let authority: string | undefined
  let scheme = ''
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    const value = rawHeaders[index + 1] ?? ''
    if (name === ':authority') authority = value
    else if (name === ':scheme') scheme = value
    else if (isHostHeader(name)) {
      if (host !== undefined) return DUPLICATE_HOST
      host = value
    }
  }
  if (host !== undefined && !isValidHost(host)) return INVALID_HOST
  if (authority !== undefined && !isValidHost(authority)) return INVALID_HOST
  if (host === undefined || authority === undefined || host === authority) return undefined
  return normalized(host, scheme) === normalized(authority, scheme) ? undefined : HOST_MISMATCH
}

function isHostHeader(name: string | undefined): boolean {
  return name !== undefined && name.length === 4 && name.toLowerCase() === 'host'
}

/** RFC 9110 section 7.2: `uri-host [":" port]`; RFC 3986 allows both to be empty. */
function isValidHost(text: string): boolean {
  const end = text.startsWith('[') ? endOfIpLiteral(text) : endOfName(text)
  if (end === undefined) return false
  return end === text.length || (text.charCodeAt(end) === COLON && isAll(DIGITS, text, end + 1, text.length))
}

/** The index after a host name or IPv4 address; undefined when it contains a character that neither allows. */
function endOfName(text: string): number | undefined {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === COLON) return index
    if (code === PERCENT) {
      if (index + 2 >= text.length || !isAll(HEX_DIGITS, text, index + 1, index + 3)) return undefined
      index += 2
    } else if (NAME_CHARACTERS[code] !== 1) return undefined
  }
  return text.length
}

/** The index after `[…]`; undefined when it is not an IP literal. RFC 3986 has no zone identifiers. */
function endOfIpLiteral(text: string): number | undefined {
  const close = text.indexOf(']')
  if (close < 0) return undefined
  const isFuture = text[1] === 'v' || text[1] === 'V'
  return (isFuture ? isIpvFuture(text, close) : isIpv6WithoutZone(text.slice(1, close)))
    ? close + 1
    : undefined
}

function isIpv6WithoutZone(address: string): boolean {
  return address.length <= MAX_IPV6_LENGTH && !address.includes('%') && isIPv6(address)
}

/** RFC 3986 section 3.2.2: `IPvFuture`, such as `v1.anything`. */
function isIpvFuture(text: string, close: number): boolean {
  const dot = text.indexOf('.')
  if (dot < 3 || dot + 1 >= close || !isAll(HEX_DIGITS, text, 2, dot)) return false
  for (let index = dot + 1; index < close; index += 1) {
    const code = text.charCodeAt(index)
    if (code !== COLON && NAME_CHARACTERS[code] !== 1) return false
  }
  return true
}

/** Gives a host in lower case, without the default port of the scheme. */
function normalized(host: string, scheme: string): string {
  const port = scheme === 'https' ? ':443' : ':80'
  const lower = host.toLowerCase()
  if (lower.endsWith(port)) return lower.slice(0, -port.length)
  return lower.endsWith(':') ? lower.slice(0, -1) : lower
}

function isAll(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) if (table[text.charCodeAt(index)] !== 1) return false
  return true
}

function characterTable(characters: string): Uint8Array {
  const table = new Uint8Array(128)
  for (let index = 0; index < characters.length; index += 1) table[characters.charCodeAt(index)] = 1
  return table
}
