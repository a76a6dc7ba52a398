import { BlockList, isIPv6 } from 'node:net'

/** Who has sent a request, as far as its connection tells. */
export interface Client {
  readonly address: string
  /** It runs on this machine. */
  readonly isLocal: boolean
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** `remoteAddress` of a socket; it is undefined once the client has gone. */
export function clientOf(remoteAddress: string | undefined): Client {
  if (remoteAddress === undefined) return { address: 'gone', isLocal: false }
  // An IPv4 client of a listener on `::`.
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '')
  return { address, isLocal: LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') }
}
