/** The library: the same agent that `agent serve` runs, in a program of your own. */
export {
  type Agent,
  type AgentOptions,
  createAgent,
  type PeerOptions,
  type UpstreamEntry,
  type UpstreamOptions,
  type WarmEntry,
} from './agent.ts'
export type { FlightPolicy } from './fetch/flight/flight-policy.ts'
export type { DiskLimit } from './lib/disk-limit.ts'
export type { Address } from './peers/join.ts'
export type { CertificateFiles } from './registry-api/connections/certificate.ts'
export type { ListenAddress } from './registry-api/server.ts'
export type { BasicCredentials, Deadlines, Proxies } from './upstream/options/options.ts'
export type { Lookup } from './upstream/options/scoped-lookup.ts'
