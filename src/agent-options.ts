import type { AccessOptions } from './access/options/access-options.ts'
import type { AdminAuth } from './admin-api/admin-access.ts'
import type { CopyOptions } from './copies/options/copy-options.ts'
import type { FlightPolicy } from './fetch/flight/flight-policy.ts'
import type { HostedOptions } from './hosted/open-hosted.ts'
import type { CertificateFiles } from './lib/certificate-files.ts'
import type { DiskLimit } from './lib/disk-limit.ts'
import type { ObjectStoreOptions } from './object-store/options/store-options.ts'
import type { PeerOptions } from './peers/peer-options.ts'
import type { RedirectOptions } from './redirects/options.ts'
import type { ListenAddress } from './registry-api/server.ts'
import type { SourceOptions } from './sources/sources.ts'
import type { UpstreamOptions } from './upstream/options/options.ts'
import type { WarmEntry } from './warm/warming.ts'
import type { WebhookOptions } from './webhooks/options.ts'

export interface AgentOptions {
  /** The data folder. */
  readonly data: string
  /** How fast stored content may be hashed again while there are no pulls, in bytes per second; default: not at all. */
  readonly scrubRate?: number
  /** How much the store may hold, in bytes or as a share of the filesystem; default: no limit. */
  readonly maxBytes?: DiskLimit
  /** How much of the filesystem stays free, whoever fills it: the store then shrinks, down to what is in use; default: nothing. */
  readonly minFree?: DiskLimit
  /** How many threads receive, hash and write; default: one less than there are processors, at most 8. */
  readonly lanes?: number
  /**
   * Whether a range of a blob that is not stored yet comes before the rest; default `off`. `gated`: without the last 64 KiB of the
   * blob, which wait until all of it is verified. `trusted`: with them.
   */
  readonly lazyRanges?: FlightPolicy['lazyRanges']
  /** The address of the registry API; default 127.0.0.1:5050, port 0 for any. */
  readonly listen?: ListenAddress
  /** The address of metrics, health and the API of the other commands; without it the agent does not serve them. */
  readonly admin?: ListenAddress
  /** The tokens that the admin address asks for; default: none. */
  readonly adminAuth?: AdminAuth
  /** PEM files; the admin address then speaks TLS. The files are read again when they change. */
  readonly adminTls?: CertificateFiles
  /** The address of metrics and health alone, which asks for no token; default: none. It speaks TLS if `admin` does. */
  readonly metricsListen?: ListenAddress
  /** PEM files; the registry API then speaks TLS. The files are read again when they change. */
  readonly tls?: CertificateFiles
  /** Who may use the registry API; default: everybody may pull. */
  readonly auth?: AccessOptions
  /** Registries that need more than their name. */
  readonly upstreams?: UpstreamOptions
  /** Images on this machine, which are asked for after the store, and before peers and upstreams. */
  readonly sources?: readonly SourceOptions[]
  /** A bucket that is asked before upstream, and filled with what came from there; default: none. */
  readonly objectStore?: ObjectStoreOptions
  /** What is copied into buckets; default: nothing. */
  readonly copies?: readonly CopyOptions[]
  /** Repositories of this agent that clients push to; default: none. */
  readonly hosted?: HostedOptions
  /** Whether clients may delete what is hosted; default: they may. */
  readonly hostedDelete?: boolean
  /** Images that are stored before anybody pulls them, and again when their tags move. */
  readonly warm?: readonly WarmEntry[]
  /** Joins the agents that know the same secret, which are then asked before upstream; default: no peers. */
  readonly peers?: PeerOptions
  /** How reports and peers name this node; default: the name of the machine. */
  readonly nodeName?: string
  /** Repositories that may be pulled, such as `docker.io/library/*`; default: all. */
  readonly allow?: readonly string[]
  /** The registry of requests that name none; default docker.io. */
  readonly defaultNamespace?: string
  /** Hosts that lead to a registry elsewhere; default: none. */
  readonly redirects?: readonly RedirectOptions[]
  /** URLs that are told of pulls, pushes, deletions and the first use of images. */
  readonly webhooks?: readonly WebhookOptions[]
  /** How long the agent waits for sources, and how often it asks them. */
  readonly patience?: Partial<FlightPolicy>
  /** Shown in reports. */
  readonly version?: string
}

export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 5050 }
export const DEFAULT_NAMESPACE = 'docker.io'
export const UNKNOWN_VERSION = 'unknown'
