import { hostname, networkInterfaces } from 'node:os'
import { RateLimiter } from '../lib/async/rate-limiter.ts'
import { issueCredentials } from './identity/certificate.ts'
import { loadIdentity } from './identity/identity.ts'
import { PEER_PROTOCOL } from './identity/member.ts'
import { Pseudonyms } from './identity/pseudonyms.ts'
import { readSecretFile } from './identity/secret.ts'
import { createSwarm } from './membership/swarm.ts'
import { type Node, PeerNetwork } from './network.ts'
import { SendBuffers } from './wire/connection/send-buffers.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface PeerOptions {
  /** The secret of the swarm: a line, or two while it is being changed. */
  readonly secretFile: string
  /** Where peers are given content; default 0.0.0.0:5052. */
  readonly listen?: Address
  /** The host at which peers reach this agent; default: guessed. */
  readonly advertise?: string
  /** Where the DHT node listens; default 0.0.0.0:49737. */
  readonly dht?: Address
  /** DHT nodes through which peers are found. With none, this agent waits to be found. */
  readonly bootstrap?: readonly Address[]
  readonly publicDht?: boolean
  readonly zone?: string
  /** Bytes per second, of all peers together. */
  readonly maxUpload?: number
  readonly maxDownload?: number
}

export interface Peers {
  readonly network: PeerNetwork
  /** Something about the set-up that should be changed. */
  readonly warning: string | undefined
  /** Says goodbye, and finishes what peers are being given. This agent may still take from others. */
  leave(options: { drainMs: number }): Promise<void>
  close(): void
}

const LISTEN: Address = { host: '0.0.0.0', port: 5052 }
const DHT: Address = { host: '0.0.0.0', port: 49_737 }
/** For content on its way to all peers together. */
const PIECES_BYTES = 16 * 1024 * 1024
const STALL_MS = 30_000
const LINGER_MS = 5000

/** Makes this agent one of a swarm. */
export async function joinPeers(
  options: PeerOptions,
  { data, version, node }: { data: string; version: string; node: Node },
): Promise<Peers> {
  const { secrets, warning } = await readSecretFile(options.secretFile)
  const identity = await loadIdentity(data)
  const credentials = issueCredentials(secrets, { identity })
  const network = new PeerNetwork({
    credentials,
    pseudonyms: new Pseudonyms(secrets),
    listen: options.listen ?? LISTEN,
    traffic: {
      uploadLimiter: new RateLimiter(options.maxUpload),
      downloadLimiter: new RateLimiter(options.maxDownload),
      sendBuffers: new SendBuffers(PIECES_BYTES),
      stallMs: STALL_MS,
      lingerMs: LINGER_MS,
    },
    node,
  })
  const { host, port } = await network.listen()
  try {
    const swarm = await createSwarm({
      secrets,
      identity,
      self: {
        incarnation: Date.now(),
        name: hostname(),
        host: options.advertise ?? guessHost(host),
        port,
        fingerprint: credentials.fingerprint,
        zone: options.zone,
        version,
        protocol: PEER_PROTOCOL,
      },
      dht: options.dht ?? DHT,
      bootstrap: options.bootstrap ?? [],
      publicDht: options.publicDht ?? false,
    })
    await swarm.start()
    network.join(swarm)
    return {
      network,
      warning,
      leave: async ({ drainMs }) => {
        // Others stop asking before this one stops answering.
        await swarm.stop()
        await network.leave({ drainMs })
      },
      close: () => network.close(),
    }
  } catch (error) {
    await network.leave({ drainMs: 0 })
    network.close()
    throw error
  }
}

/** Where peers most likely reach what listens there. */
export function guessHost(listen: string): string {
  if (listen !== '0.0.0.0' && listen !== '::') return listen
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outward = own.filter(({ internal }) => !internal)
  const v4 = outward.find(({ family }) => family === 'IPv4')
  // Of one that holds for a link only, others could not make use; and what listens for IPv4 is not at IPv6.
  const v6 =
    listen === '::' ? outward.find(({ family, scopeid }) => family === 'IPv6' && !scopeid) : undefined
  return (v4 ?? v6)?.address ?? '127.0.0.1'
}
