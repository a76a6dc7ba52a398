import { isIP } from 'node:net'
import { plainAddress } from '../../lib/client-address.ts'
import type { RequestSender } from '../../ports/redirects/redirected-host.ts'

/** A chain of more proxies is not followed to its end. */
const MOST_HOPS = 32

/**
 * The address of the client: that of the connection, or, if that is one of a trusted proxy, the last hop in
 * `X-Forwarded-For` or `Forwarded` that is not one. Each proxy adds the address from which it got the request at the end,
 * so what is before the first untrusted hop from the right may be forged. Undefined: the client is not known.
 */
export function clientAddressOf(
  { address, forwardedFor, forwarded }: RequestSender,
  isTrusted: (address: string) => boolean,
): string | undefined {
  const connected = addressIn(address)
  if (connected === undefined || !isTrusted(connected)) return connected
  const byList = forwardedFor === undefined ? undefined : lastUntrusted(hopsInList(forwardedFor), isTrusted)
  const byRfc = forwarded === undefined ? undefined : lastUntrusted(hopsInForwarded(forwarded), isTrusted)
  if (byList === undefined) return (byRfc ?? { address: connected }).address
  // The proxy has set one of the headers, and has handed on what the client has sent in the other.
  if (byRfc !== undefined && byRfc.address !== byList.address) return connected
  return byList.address
}

interface Hop {
  /** Undefined for a hop that hides its address, or that is none. */
  readonly address: string | undefined
}

/** The first hop from the right that is no trusted proxy; the leftmost one if all are. */
function lastUntrusted(
  hops: readonly (string | undefined)[],
  isTrusted: (address: string) => boolean,
): Hop | undefined {
  const near = hops.slice(-MOST_HOPS)
  const found = near.findLastIndex((hop) => hop === undefined || !isTrusted(hop))
  return near.length === 0 ? undefined : { address: near[Math.max(found, 0)] }
}

function hopsInList(header: string): readonly (string | undefined)[] {
  return header.split(',').map((hop) => addressIn(hop.trim()))
}

/** A longer `Forwarded` header is not read: its client is not known. */
const MOST_CHARACTERS = 2048

/**
 * RFC 7239 section 4: elements between commas, each with `for=` and other pairs between semicolons. A header whose last
 * quoted string does not end is not read: a client could hide in it what its proxy adds.
 */
function hopsInForwarded(header: string): readonly (string | undefined)[] {
  const elements = header.length > MOST_CHARACTERS ? undefined : partsOf(header, ',')
  return elements?.map(hopInElement) ?? [undefined]
}

function hopInElement(element: string): string | undefined {
  const values = (partsOf(element, ';') ?? []).flatMap((pair) => {
    const [name = '', ...value] = pair.split('=')
    return value.length > 0 && name.trim().toLowerCase() === 'for' ? [value.join('=').trim()] : []
  })
  const [value] = values
  return value === undefined || values.length > 1 ? undefined : addressIn(value.replace(/^"(.*)"$/, '$1'))
}

/** The parts that are not empty, between separators outside quoted strings. Undefined: a quoted string does not end. */
function partsOf(text: string, separator: string): readonly string[] | undefined {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') isQuoted = !isQuoted
    else if (isQuoted && text[at] === '\\') at += 1
    else if (!isQuoted && text[at] === separator) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  parts.push(text.slice(start))
  return isQuoted ? undefined : parts.filter((part) => part !== '')
}

/** Reads an address, with or without a port and the brackets of IPv6. */
function addressIn(text: string): string | undefined {
  const inBrackets = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1]
  const beforePort = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1]
  const address = plainAddress(inBrackets ?? beforePort ?? text)
  return isIP(address) === 0 ? undefined : address
}
