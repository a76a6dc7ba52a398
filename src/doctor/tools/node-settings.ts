import type { DiskLimit } from '../../lib/disk-limit.ts'
import type { ObjectStoreOptions } from '../../object-store/options/store-options.ts'
import type { PeerOptions } from '../../peers/peer-options.ts'
import type { Runtime } from '../../runtimes/files/plan.ts'
import type { SourceOptions } from '../../sources/sources.ts'
import type { UpstreamOptions } from '../../upstream/options/options.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** The admin address, and what it takes to be answered there. */
export interface AdminAddress extends Address {
  readonly token?: string | undefined
  /** The authorities of its certificate; undefined: the address has none. */
  readonly authorities?: readonly string[] | undefined
}

/** The settings of the checked node, as the doctor was given them. */
export interface NodeSettings {
  /** The version of the command that runs the doctor. */
  readonly version: string
  readonly admin: AdminAddress
  readonly listen: Address
  /** Whether the registry API speaks TLS. */
  readonly isTls: boolean
  readonly data: string
  readonly maxBytes: DiskLimit
  readonly minFree: DiskLimit
  readonly sources: readonly SourceOptions[]
  /** The registry of images whose names have none. */
  readonly defaultNamespace: string
  readonly upstreams: UpstreamOptions
  readonly objectStore: ObjectStoreOptions | undefined
  /** Undefined if the settings name no peer secret. */
  readonly peers: PeerOptions | undefined
  /** The prefix of the paths of the runtimes' settings. */
  readonly root: string
  readonly containerdConfig: string
  /** The runtimes that are expected to use the agent; undefined: those that are found may use it. */
  readonly runtimes: readonly Runtime[] | undefined
}

/** A server that listens on all addresses is reached on its own machine at the loopback address. */
export function localAddress({ host, port }: Address): Address {
  return { host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host, port }
}

export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Parses an address as the agent reports it, such as `127.0.0.1:5050`. */
export function parseAddress(text: string | null): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text ?? '')
  const host = match?.[1] ?? match?.[2]
  return host === undefined ? undefined : { host, port: Number(match?.[3]) }
}
