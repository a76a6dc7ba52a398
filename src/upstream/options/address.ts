import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/**
 * How far inside a network an address lies, from the outside in. `special` are the addresses that no registry on the
 * internet has (multicast, documentation, benchmarks, those set aside); `link-local` includes the metadata services of
 * clouds. A server that is reached at one of these may send us (by redirect, as a token realm) only as far inside as it
 * is itself: else whoever runs a public registry could have the node ask its own cloud's metadata service.
 */
export type Reach = 'public' | 'private' | 'special' | 'loopback' | 'link-local'

const DEPTH: Readonly<Record<Reach, number>> = {
  public: 0,
  private: 1,
  special: 2,
  loopback: 3,
  'link-local': 4,
}

/** The deepest reach: no address is refused. */
export const ANYWHERE: Reach = 'link-local'

/** Gives all addresses of a name, as `lookup` of `node:dns` does. */
export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

const LINK_LOCAL = listOf([
  '169.254.0.0/16',
  'fe80::/10',
  // Metadata services that lie elsewhere: Alibaba, Azure, Oracle, AWS, Google, Oracle.
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
])
const LOOPBACK = listOf(['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'])
const PRIVATE = listOf([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
  'fec0::/10',
])
const SPECIAL = listOf([
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  // With Teredo, ORCHID and benchmarks (RFC 2928).
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
])
/** RFC 4291, 2.4: what is neither here nor named above is no address of a host. */
const GLOBAL_UNICAST = listOf(['2000::/3'])

/** The eight parts of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const { hostname } = new URL(`http://[${address.split('%', 1)[0]}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const read = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const [before, after] = [read(head), read(tail ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const startsWith = (groups: readonly number[], ...start: readonly number[]): boolean =>
  start.every((group, index) => groups[index] === group)

/** The address of an IPv4 host that an IPv6 address stands for. */
function embeddedIn(groups: readonly number[]): string | undefined {
  const at = (index: number): string =>
    groups
      .slice(index, index + 2)
      .flatMap((group) => [group >> 8, group & 255])
      .join('.')
  // Compatible, mapped and translated (RFC 4291, 2.5.5; RFC 2765, 2.1), NAT64 (RFC 6052; RFC 8215).
  if (startsWith(groups, 0, 0, 0, 0, 0, 0)) return at(6)
  if (startsWith(groups, 0, 0, 0, 0, 0, 0xffff) || startsWith(groups, 0, 0, 0, 0, 0xffff, 0)) return at(6)
  if (startsWith(groups, 0x64, 0xff9b, 0, 0, 0, 0)) return at(6)
  if (startsWith(groups, 0x64, 0xff9b, 1) && groups[4] === 0 && groups[5] === 0) return at(6)
  // 6to4 (RFC 3056, 2).
  return startsWith(groups, 0x2002) ? at(1) : undefined
}

function reachOfIp(address: string): Reach {
  let ip = address
  if (isIP(address) === 6) {
    const groups = groupsOf(address)
    ip = embeddedIn(groups) ?? groups.map((group) => group.toString(16)).join(':')
  }
  const isIpv6 = isIP(ip) === 6
  const family = isIpv6 ? 'ipv6' : 'ipv4'
  if (LINK_LOCAL.check(ip, family)) return 'link-local'
  if (LOOPBACK.check(ip, family)) return 'loopback'
  if (PRIVATE.check(ip, family)) return 'private'
  if (SPECIAL.check(ip, family)) return 'special'
  return isIpv6 && !GLOBAL_UNICAST.check(ip, family) ? 'special' : 'public'
}

/** What a URL's host name says by itself; undefined when only a look-up can tell. */
export function reachOfHostname(hostname: string): Reach | undefined {
  const bare = hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.+$/, '')
  if (isIP(bare) !== 0) return reachOfIp(bare)
  return bare === 'localhost' || bare.endsWith('.localhost') ? 'loopback' : undefined
}

/**
 * Where a registry may lie that the settings do not list: any client can name one. A name may lead into the private
 * network, as the names of a cluster's own services do; for a private address no public authority vouches, so that an
 * entry is needed anyway.
 */
export function reachUnlisted(hostname: string): Reach {
  return reachOfHostname(hostname) === undefined ? 'private' : 'public'
}

/**
 * How far inside a registry may send us: as far as it lies itself, and never further than `limit`. Some clusters number
 * their networks out of `special` ranges, so a private registry may send there.
 */
export async function reachFrom(hostname: string, limit: Reach, lookup?: Lookup): Promise<Reach> {
  const found = await findReach(hostname, lookup)
  const inside = found === 'private' ? 'special' : found
  return mayReach(inside, limit) ? inside : limit
}

/** Where a host lies, asking DNS if need be: the deepest of its addresses. A name that does not resolve is public. */
export function findReach(hostname: string, lookup: Lookup = systemLookup): Promise<Reach> {
  const known = reachOfHostname(hostname)
  if (known !== undefined) return Promise.resolve(known)
  return new Promise((done) => {
    lookup(hostname, { all: true }, (error, found) => {
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
    super(`${hostname} has an address where this registry may neither lie nor send us`)
    this.name = 'AddressRefused'
  }
}

/** Throws when a host name says by itself that it lies further inside: sockets look up names, but not addresses. */
export function checkHostname(hostname: string, limit: Reach): void {
  const reach = reachOfHostname(hostname)
  if (reach !== undefined && !mayReach(reach, limit)) throw new AddressRefused(hostname)
}

/**
 * A look-up for `net.connect` that gives only addresses within the limit. The check is made where the connection is,
 * so that a name cannot answer the check with one address and the connection with another.
 */
export function lookupWithin(limit: Reach, lookup: Lookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '')
      const allowed = found.filter(({ address }) => mayReach(reachOfIp(address), limit))
      const first = allowed[0]
      if (first === undefined) return callback(new AddressRefused(hostname), '')
      if (options.all === true) return callback(null, allowed)
      callback(null, first.address, first.family)
    })
  }
}
