/** The library: the same agent that `agent serve` runs, in a program of your own. */
export type { AccessOptions, RuleOptions, TokenOptions } from './access/options/access-options.ts'
export type { AdminAuth } from './admin-api/admin-access.ts'
export { type Agent, type AgentOptions, createAgent } from './agent.ts'
export type { FlightPolicy } from './fetch/flight/flight-policy.ts'
export type { RetentionRule } from './hosted/garbage/retention.ts'
export type { HostedOptions } from './hosted/open-hosted.ts'
export type { CertificateFiles } from './lib/certificate-files.ts'
export type { DiskLimit } from './lib/disk-limit.ts'
export type { Address, PeerOptions } from './peers/peer-options.ts'
export type { RedirectOptions } from './redirects/options.ts'
export type { ListenAddress } from './registry-api/server.ts'
export type { Compression } from './sources/docker/classic-image.ts'
export type { SourceOptions } from './sources/sources.ts'
export type {
  BasicCredentials,
  Deadlines,
  Proxies,
  UpstreamEntry,
  UpstreamOptions,
} from './upstream/options/options.ts'
export type { Lookup } from './upstream/options/scoped-lookup.ts'
export type { WarmEntry } from './warm/warming.ts'
export type { WebhookOptions } from './webhooks/options.ts'
