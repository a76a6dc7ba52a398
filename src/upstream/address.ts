import { lookup as resolve } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/**
 * How far inside a network an address lies, from the outside in. A server that is reached at one of these may send us
 * (by redirect, as a token realm) only as far inside as it is itself: else whoever runs a public registry could have
 * the node ask its own cloud's metadata service.
 */
export type Reach = 'public' | 'private' | 'loopback' | 'link-local'

const DEPTH: Readonly<Record<Reach, number>> = { public: 0, private: 1, loopback: 2, 'link-local': 3 }

/** The deepest reach: no address is refused. */
export const ANYWHERE: Reach = 'link-local'

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

const LINK_LOCAL = listOf(['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128'])
const LOOPBACK = listOf(['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'])
const PRIVATE = listOf([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '192.0.0.0/24',
  '198.18.0.0/15',
  '224.0.0.0/3',
  'fc00::/7',
  'fec0::/10',
  'ff00::/8',
])
/** Addresses of IPv4 hosts in IPv6: mapped (RFC 4291, 2.5.5.2) and NAT64 (RFC 6052). */
const EMBEDDED = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

function reachOfIp(address: string): Reach {
  let ip = address
  if (isIP(address) === 6) {
    ip = new URL(`http://[${address.split('%', 1)[0]}]`).hostname.slice(1, -1)
    const embedded = EMBEDDED.exec(ip)
    if (embedded !== null) {
      const [high = 0, low = 0] = embedded.slice(1).map((part) => Number.parseInt(part, 16))
      ip = [high >> 8, high & 255, low >> 8, low & 255].join('.')
    }
  }
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4'
  if (LINK_LOCAL.check(ip, family)) return 'link-local'
  if (LOOPBACK.check(ip, family)) return 'loopback'
  return PRIVATE.check(ip, family) ? 'private' : 'public'
}

/** What a URL's host name says by itself; undefined when only a look-up can tell. */
export function reachOfHostname(hostname: string): Reach | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (isIP(bare) !== 0) return reachOfIp(bare)
  return bare === 'localhost' || bare.endsWith('.localhost') ? 'loopback' : undefined
}

/** Where a host lies, asking DNS if need be: the deepest of its addresses. A name that does not resolve is public. */
export function findReach(hostname: string): Promise<Reach> {
  const known = reachOfHostname(hostname)
  if (known !== undefined) return Promise.resolve(known)
  return new Promise((done) => {
    resolve(hostname, { all: true }, (error, found) => {
      const reaches = error === null ? found.map(({ address }) => reachOfIp(address)) : []
      done(
        reaches.reduce<Reach>((deepest, next) => (DEPTH[next] > DEPTH[deepest] ? next : deepest), 'public'),
      )
    })
  })
}

export function mayReach(target: Reach, limit: Reach): boolean {
  return DEPTH[target] <= DEPTH[limit]
}

export class AddressRefused extends Error {
  constructor(hostname: string) {
    super(`${hostname} has a private address, where this registry may not send us`)
    this.name = 'AddressRefused'
  }
}

/**
 * A look-up for `net.connect` that gives only addresses within the limit. The check is made where the connection is,
 * so that a name cannot answer the check with one address and the connection with another.
 */
export function lookupWithin(limit: Reach): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '')
      const allowed = found.filter(({ address }) => mayReach(reachOfIp(address), limit))
      const first = allowed[0]
      if (first === undefined) return callback(new AddressRefused(hostname), '')
      if (options.all === true) return callback(null, allowed)
      callback(null, first.address, first.family)
    })
  }
}
