import { isIPv6 } from 'node:net'

/** The longest way to write an IPv6 address. */
const LONGEST_IPV6 = 45
const NO_HOST = 'the request has no Host header'
const TWO_HOSTS = 'the request has more than one Host header'
const NOT_A_HOST = 'what the request names as its host is not a host, with or without a port'
const TWO_NAMES = 'the Host header and the authority of the request do not name the same host'

/** RFC 3986: unreserved and sub-delims. */
const PLAIN = tableOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=")
const HEX = tableOf('0123456789ABCDEFabcdef')
const DIGITS = tableOf('0123456789')
const COLON = 58
const PERCENT = 37

/**
 * What is wrong with the Host of a request of HTTP/1 (RFC 9112 section 3.2), as a sentence. Of headers that are sent
 * twice Node keeps one or joins them, so what was sent is looked at; for every request, hence without patterns.
 */
export function hostProblem(rawHeaders: readonly string[], httpVersionMinor: number): string | undefined {
  let host: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!isHostName(rawHeaders[at])) continue
    if (host !== undefined) return TWO_HOSTS
    host = rawHeaders[at + 1] ?? ''
  }
  if (host === undefined) return httpVersionMinor > 0 ? NO_HOST : undefined
  return isHost(host) ? undefined : NOT_A_HOST
}

/** The same for HTTP/2, where `:authority` takes the place of Host, or stands beside it (RFC 9113 section 8.3.1). */
export function authorityProblem(rawHeaders: readonly string[]): string | undefined {
  let host: string | undefined
  let authority: string | undefined
  let scheme = ''
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    const value = rawHeaders[at + 1] ?? ''
    if (name === ':authority') authority = value
    else if (name === ':scheme') scheme = value
    else if (isHostName(name)) {
      if (host !== undefined) return TWO_HOSTS
      host = value
    }
  }
  if (host !== undefined && !isHost(host)) return NOT_A_HOST
  if (authority !== undefined && !isHost(authority)) return NOT_A_HOST
  if (host === undefined || authority === undefined || host === authority) return undefined
  return comparable(host, scheme) === comparable(authority, scheme) ? undefined : TWO_NAMES
}

function isHostName(name: string | undefined): boolean {
  return name !== undefined && name.length === 4 && name.toLowerCase() === 'host'
}

/** RFC 9110 section 7.2: `uri-host [":" port]`, both as in RFC 3986, where both may be empty. */
function isHost(text: string): boolean {
  const end = text.startsWith('[') ? endOfLiteral(text) : endOfName(text)
  if (end === undefined) return false
  return end === text.length || (text.charCodeAt(end) === COLON && isAll(DIGITS, text, end + 1, text.length))
}

/** Where a name or an IPv4 address ends; undefined when it has what neither may have. */
function endOfName(text: string): number | undefined {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === COLON) return at
    if (code === PERCENT) {
      if (at + 2 >= text.length || !isAll(HEX, text, at + 1, at + 3)) return undefined
      at += 2
    } else if (PLAIN[code] !== 1) return undefined
  }
  return text.length
}

/** Where `[…]` ends; undefined when it is no IP literal. Zones of addresses are not part of one here. */
function endOfLiteral(text: string): number | undefined {
  const close = text.indexOf(']')
  if (close < 0) return undefined
  const isFuture = text[1] === 'v' || text[1] === 'V'
  return (isFuture ? isIpvFuture(text, close) : isPlainIpv6(text.slice(1, close))) ? close + 1 : undefined
}

function isPlainIpv6(address: string): boolean {
  return address.length <= LONGEST_IPV6 && !address.includes('%') && isIPv6(address)
}

/** `v1.anything` of RFC 3986, for versions of IP to come. */
function isIpvFuture(text: string, close: number): boolean {
  const dot = text.indexOf('.')
  if (dot < 3 || dot + 1 >= close || !isAll(HEX, text, 2, dot)) return false
  for (let at = dot + 1; at < close; at += 1) {
    const code = text.charCodeAt(at)
    if (code !== COLON && PLAIN[code] !== 1) return false
  }
  return true
}

/** Upper case and a port that the scheme has anyway make no other host. */
function comparable(host: string, scheme: string): string {
  const port = scheme === 'https' ? ':443' : ':80'
  const lower = host.toLowerCase()
  if (lower.endsWith(port)) return lower.slice(0, -port.length)
  return lower.endsWith(':') ? lower.slice(0, -1) : lower
}

function isAll(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (table[text.charCodeAt(at)] !== 1) return false
  return true
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128)
  for (let at = 0; at < characters.length; at += 1) table[characters.charCodeAt(at)] = 1
  return table
}
