import { BlockList, isIP } from 'node:net'

/**
 * How far inside a network an address lies, from the outside in. `special` are the addresses that no registry on the
 * internet has: multicast, documentation, benchmarks and reserved ranges. `link-local` includes the metadata services of
 * clouds.
 *
 * A registry may send the agent (by a redirect, or by the realm of a challenge) only to addresses of its own scope or of
 * a scope further out. Otherwise the operator of a public registry could make the node query the metadata service of its
 * own cloud.
 */
export type AddressScope = 'public' | 'private' | 'special' | 'loopback' | 'link-local'

const DEPTH: Readonly<Record<AddressScope, number>> = {
  public: 0,
  private: 1,
  special: 2,
  loopback: 3,
  'link-local': 4,
}

/** The innermost scope: as a limit it permits every address. */
export const ANY_SCOPE: AddressScope = 'link-local'

/** Whether an address of this scope lies within the limit. */
export function isWithinScope(scope: AddressScope, limit: AddressScope): boolean {
  return DEPTH[scope] <= DEPTH[limit]
}

/** The scope that lies furthest inside; `public` when the list is empty. */
export function innermostScope(scopes: readonly AddressScope[]): AddressScope {
  return scopes.reduce((inner, next) => (DEPTH[next] > DEPTH[inner] ? next : inner), 'public')
}

function blockListOf(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

const LINK_LOCAL = blockListOf([
  '169.254.0.0/16',
  'fe80::/10',
  // Metadata services outside 169.254.0.0/16: Alibaba, Azure, Oracle, AWS, Google, Oracle.
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
])
const LOOPBACK = blockListOf(['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'])
const PRIVATE = blockListOf([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
  'fec0::/10',
])
const SPECIAL = blockListOf([
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  // The block of RFC 2928, which includes Teredo, ORCHID and benchmarking.
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
])
/** RFC 4291, 2.4: an IPv6 address outside this block and the lists above does not belong to a host. */
const GLOBAL_UNICAST = blockListOf(['2000::/3'])

/** The eight 16-bit groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const { hostname } = new URL(`http://[${address.split('%', 1)[0]}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const parse = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const [before, after] = [parse(head), parse(tail ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const startsWith = (groups: readonly number[], ...start: readonly number[]): boolean =>
  start.every((group, index) => groups[index] === group)

/** The IPv4 address that an IPv6 address embeds: a connection to the latter may end at the former. */
function embeddedIpv4(groups: readonly number[]): string | undefined {
  const ipv4At = (index: number): string =>
    groups
      .slice(index, index + 2)
      .flatMap((group) => [group >> 8, group & 255])
      .join('.')
  // IPv4-compatible, mapped and translated (RFC 4291, 2.5.5; RFC 2765, 2.1), NAT64 (RFC 6052; RFC 8215).
  if (startsWith(groups, 0, 0, 0, 0, 0, 0)) return ipv4At(6)
  if (startsWith(groups, 0, 0, 0, 0, 0, 0xffff) || startsWith(groups, 0, 0, 0, 0, 0xffff, 0)) return ipv4At(6)
  if (startsWith(groups, 0x64, 0xff9b, 0, 0, 0, 0)) return ipv4At(6)
  if (startsWith(groups, 0x64, 0xff9b, 1) && groups[4] === 0 && groups[5] === 0) return ipv4At(6)
  // 6to4 (RFC 3056, 2).
  return startsWith(groups, 0x2002) ? ipv4At(1) : undefined
}

export function scopeOfIp(address: string): AddressScope {
  let ip = address
  if (isIP(address) === 6) {
    const groups = groupsOf(address)
    ip = embeddedIpv4(groups) ?? groups.map((group) => group.toString(16)).join(':')
  }
  const isIpv6 = isIP(ip) === 6
  const family = isIpv6 ? 'ipv6' : 'ipv4'
  if (LINK_LOCAL.check(ip, family)) return 'link-local'
  if (LOOPBACK.check(ip, family)) return 'loopback'
  if (PRIVATE.check(ip, family)) return 'private'
  if (SPECIAL.check(ip, family)) return 'special'
  return isIpv6 && !GLOBAL_UNICAST.check(ip, family) ? 'special' : 'public'
}

/** The scope that a URL's host name states by itself; undefined when only DNS can tell. */
export function scopeOfHostname(hostname: string): AddressScope | undefined {
  const bare = hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.+$/, '')
  if (isIP(bare) !== 0) return scopeOfIp(bare)
  return bare === 'localhost' || bare.endsWith('.localhost') ? 'loopback' : undefined
}

/**
 * The limit for a registry that the settings do not list, because any client can name one. A DNS name may resolve into
 * the private network, as the names of a cluster's own services do. A literal address must be public: no public
 * certificate authority signs for a private address, so that a registry there needs an entry in the settings anyway.
 */
export function scopeLimitOfUnlisted(hostname: string): AddressScope {
  return scopeOfHostname(hostname) === undefined ? 'private' : 'public'
}
