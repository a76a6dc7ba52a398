import type { PeerOptions } from '../../peers/peer-options.ts'
import type { UpstreamOptions } from '../../upstream/options/options.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** The node, as the settings have it. */
export interface Patient {
  /** Of the one who looks. */
  readonly version: string
  readonly admin: Address
  readonly listen: Address
  /** The registry API speaks TLS. */
  readonly isTls: boolean
  readonly data: string
  readonly maxBytes: { readonly bytes: number } | { readonly percent: number }
  readonly upstreams: UpstreamOptions
  /** Undefined: none are wanted. */
  readonly peers: PeerOptions | undefined
  /** Put before the paths of the runtimes' settings. */
  readonly root: string
  readonly containerdConfig: string
}

/** Whoever listens everywhere is reached from its own machine by loopback. */
export function dialled({ host, port }: Address): Address {
  return { host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host, port }
}

export function written({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `127.0.0.1:5050`, as the agent writes its own addresses. */
export function parsed(text: string | null): Address | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text ?? '')
  const host = found?.[1] ?? found?.[2]
  return host === undefined ? undefined : { host, port: Number(found?.[3]) }
}
