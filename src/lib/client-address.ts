import { BlockList, isIPv6 } from 'node:net'

/** The address of a client in one form: IPv4 is not written as IPv6, and the zone of a link-local address is left out. */
export function plainAddress(address: string): string {
  const withoutZone = address.split('%', 1)[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(withoutZone)
  return mapped?.[1] ?? withoutZone
}

/** Names who is counted as one: an IPv4 address, or the /64 of an IPv6 address, which one customer has all of. */
export function addressGroup(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  const groups = [...first, ...Array<string>(zeros).fill('0'), ...last]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** Returns undefined for a text that is neither an address nor a network such as `10.0.0.0/8`. */
export function parseNetwork(text: string): { readonly address: string; readonly bits: number } | undefined {
  const match = /^([0-9a-fA-F.:]{2,45})(?:\/(\d{1,3}))?$/.exec(text)
  const address = match?.[1] ?? ''
  const isSix = isIPv6(address)
  if (!isSix && !/^\d+\.\d+\.\d+\.\d+$/.test(address)) return undefined
  const most = isSix ? 128 : 32
  const bits = match?.[2] === undefined ? most : Number(match[2])
  try {
    new BlockList().addSubnet(address, bits, isSix ? 'ipv6' : 'ipv4')
    return { address, bits }
  } catch {
    return undefined
  }
}

/** Decides whether an address is in one of the networks. Without a list every address is. */
export function networkFilter(networks: readonly string[] | undefined): (address: string) => boolean {
  if (networks === undefined) return () => true
  const list = new BlockList()
  for (const text of networks) {
    const network = parseNetwork(text)
    if (network === undefined) throw new Error(`"${text}" is not a network; write one such as 10.0.0.0/8`)
    list.addSubnet(network.address, network.bits, isIPv6(network.address) ? 'ipv6' : 'ipv4')
  }
  return (address) => {
    const plain = plainAddress(address)
    return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}
