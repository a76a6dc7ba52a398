import { networkInterfaces } from 'node:os'

export interface Address {
  readonly host: string
  readonly port: number
}

/** Limits the bytes per second of all peers together. */
export interface PeerRates {
  readonly maxUpload?: number
  readonly maxDownload?: number
}

export interface PeerOptions extends PeerRates {
  /** The file with the secret of the swarm: one line, or two while the secret is being changed. */
  readonly secretFile: string
  /** The TCP address of the peer server; default 0.0.0.0:5052. */
  readonly listen?: Address
  /** The host at which peers reach this agent; default: guessed. */
  readonly advertise?: string
  /** The UDP address of this agent's DHT node; default 0.0.0.0:49737. */
  readonly dht?: Address
  /** DHT nodes through which agents find each other. Without any, this agent waits until others find it. */
  readonly bootstrap?: readonly Address[]
  readonly publicDht?: boolean
  readonly zone?: string
}

export const DEFAULT_PEER_LISTEN: Address = { host: '0.0.0.0', port: 5052 }
export const DEFAULT_DHT_LISTEN: Address = { host: '0.0.0.0', port: 49_737 }

/** Guesses the host at which peers reach a server that listens on `listen`. */
export function guessHost(listen: string): string {
  if (listen !== '0.0.0.0' && listen !== '::') return listen
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
  const external = addresses.filter(({ internal }) => !internal)
  const v4 = external.find(({ family }) => family === 'IPv4')
  // A link-local address (one with a scope) is of no use on other nodes. A server on 0.0.0.0 has no IPv6 address.
  const v6 =
    listen === '::' ? external.find(({ family, scopeid }) => family === 'IPv6' && !scopeid) : undefined
  return (v4 ?? v6)?.address ?? '127.0.0.1'
}
