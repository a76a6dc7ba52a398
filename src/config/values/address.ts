import { isIP, isIPv6 } from 'node:net'
import { textLike } from './format.ts'

/** An address to listen at, or to connect to. */
export interface SocketAddress {
  /** An IP address without brackets, or a host name. */
  readonly host: string
  readonly port: number
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i
/** A text that looks like an IPv4 address and is not one is a typing error, not a host name. */
const DOTTED_NUMBERS = /^[\d.]+$/

export const ADDRESS_SCHEMA = textLike(/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/)
export const HOST_SCHEMA = textLike(/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/)

/** Parses `127.0.0.1:5050`, `[::1]:5050` or `localhost:5050`. Port 0 means any free one. */
export function parseAddress(text: string): SocketAddress | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(found?.[3])
  if (found === null || port > 65_535) return undefined
  const [, v6, other] = found
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined
  return other !== undefined && isHost(other) ? { host: other, port } : undefined
}

function isHost(text: string): boolean {
  return DOTTED_NUMBERS.test(text) ? isIP(text) === 4 : HOST_NAME.test(text)
}

/** Parses an IP address without brackets, or a host name, without a port. */
export function parseHostName(text: string): string | undefined {
  return isIP(text) !== 0 || isHost(text) ? text : undefined
}

/** Parses a registry's host such as `registry-1.docker.io` or `[::1]:5000`, without scheme and path, into lower case. */
export function parseHost(text: string): string | undefined {
  const lower = text.toLowerCase()
  if (isHost(lower)) return lower
  const address = parseAddress(lower)
  return address === undefined || address.port === 0 ? undefined : formatAddress(address)
}

/** Whether no two programs can listen at these addresses at once. Port 0 means any free one, so it is no obstacle. */
export function doCollide(one: SocketAddress, other: SocketAddress): boolean {
  if (one.port === 0 || one.port !== other.port) return false
  const [host, otherHost] = [one, other].map(({ host }) => (host === 'localhost' ? '127.0.0.1' : host))
  return host === otherHost || isWildcard(one.host, other.host) || isWildcard(other.host, one.host)
}

/** Linux takes connections over IPv4 at `::`, too. */
function isWildcard(host: string, other: string): boolean {
  return host === '::' || (host === '0.0.0.0' && !isIPv6(other))
}

export function formatAddress(address: SocketAddress): string {
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Whether only this machine can connect to the host. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
