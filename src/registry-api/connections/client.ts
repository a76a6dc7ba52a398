/** Who a request comes from, as far as its connection tells. */
export interface Client {
  /** Of the other end of the connection; empty when it is gone already. */
  readonly address: string
  /** On this machine: the connection came over its loopback. */
  readonly isLocal: boolean
}

/** `remoteAddress` as the socket gives it: in its shortest form, IPv4 on an IPv6 socket as `::ffff:127.0.0.1`. */
export function clientOf(remoteAddress: string | undefined): Client {
  const address = remoteAddress ?? ''
  const isLocal = address.startsWith('127.') || address.startsWith('::ffff:127.') || address === '::1'
  return { address, isLocal }
}
