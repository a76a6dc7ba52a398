/** The sender of a request, as far as its connection identifies it. */
export interface Client {
  /** The remote address of the connection; empty when the connection is closed already. */
  readonly address: string
  /** The connection came over the loopback of this machine. */
  readonly isLocal: boolean
}

/** `remoteAddress` is as the socket reports it: in its shortest form, IPv4 on an IPv6 socket as `::ffff:127.0.0.1`. */
export function clientOf(remoteAddress: string | undefined): Client {
  const address = remoteAddress ?? ''
  const isLocal = address.startsWith('127.') || address.startsWith('::ffff:127.') || address === '::1'
  return { address, isLocal }
}
