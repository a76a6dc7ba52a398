import type { LanePool } from '../lanes/lane-pool.ts'
import { RateLimiter } from '../lib/async/rate-limiter.ts'
import { issueCredentials } from './identity/certificate.ts'
import { loadIdentity } from './identity/identity.ts'
import { PEER_PROTOCOL } from './identity/member.ts'
import { Pseudonyms } from './identity/pseudonyms.ts'
import { readSecretFile } from './identity/secret.ts'
import { createSwarm } from './membership/swarm.ts'
import { PeerNetwork } from './network.ts'
import {
  DEFAULT_DHT_LISTEN,
  DEFAULT_PEER_LISTEN,
  guessHost,
  type PeerOptions,
  type PeerRates,
} from './peer-options.ts'
import { SendBuffers } from './wire/connection/send-buffers.ts'

export interface OpenPeers {
  readonly network: PeerNetwork
  /** What is wrong with the mode of the secret file. */
  readonly warning: string | undefined
  /** Changes the limits of all peers together, also for transfers under way. */
  limitTo(rates: PeerRates): void
}

/** Bounds the memory for content on its way to all peers together. */
const SEND_BUFFER_BYTES = 16 * 1024 * 1024
/** A peer that takes no bytes for this long is cut off. */
const STALL_MS = 30_000
/** How long a peer may take to end an exchange that this node has ended. */
const LINGER_MS = 5000

/** Opens the peer network of an agent whose data folder is `data`. Other members see this node only once it has joined. */
export async function openPeers(
  options: PeerOptions,
  { data, version, name, lanes }: { data: string; version: string; name: string; lanes: LanePool },
): Promise<OpenPeers> {
  const { secrets, warning } = await readSecretFile(options.secretFile)
  const identity = await loadIdentity(data)
  const credentials = issueCredentials(secrets, { identity })
  const uploadLimiter = new RateLimiter(options.maxUpload)
  const downloadLimiter = new RateLimiter(options.maxDownload)
  const network = await PeerNetwork.open({
    credentials,
    lanes,
    pseudonyms: new Pseudonyms(secrets),
    listen: options.listen ?? DEFAULT_PEER_LISTEN,
    resources: {
      uploadLimiter,
      downloadLimiter,
      sendBuffers: new SendBuffers(SEND_BUFFER_BYTES),
      stallMs: STALL_MS,
      lingerMs: LINGER_MS,
    },
    createMembership: ({ host, port }) =>
      createSwarm({
        secrets,
        identity,
        self: {
          incarnation: Date.now(),
          name,
          host: options.advertise ?? guessHost(host),
          port,
          fingerprint: credentials.fingerprint,
          zone: options.zone,
          version,
          protocol: PEER_PROTOCOL,
        },
        dht: options.dht ?? DEFAULT_DHT_LISTEN,
        bootstrap: options.bootstrap ?? [],
        publicDht: options.publicDht ?? false,
      }),
  })
  return {
    network,
    warning,
    limitTo({ maxUpload, maxDownload }) {
      uploadLimiter.limitTo(maxUpload)
      downloadLimiter.limitTo(maxDownload)
    },
  }
}
