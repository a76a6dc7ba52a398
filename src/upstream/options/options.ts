import type { Proxies } from '../../lib/undici/dispatcher.ts'
import { type AddressScope, ANY_SCOPE, scopeLimitOfUnlisted } from './address-scope.ts'
import type { Lookup } from './scoped-lookup.ts'

/** One entry under `upstreams` in the settings. Every field but `namespace` is optional. */
export interface UpstreamEntry {
  /** The registry's name in references: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly namespace: string
  /** The hosts, as `host[:port]`, in the order in which they are asked. The default is the host that the namespace names. */
  readonly hosts?: readonly string[]
  readonly tls?: boolean
  readonly acceptInvalidCerts?: boolean
  /** A PEM file of certificate authorities that are accepted in addition to those of Node. */
  readonly caFile?: string
  readonly userAgent?: string
  readonly username?: string
  readonly password?: string
  /** The file is read again when it changes. */
  readonly passwordFile?: string
  /** The path of a Docker `config.json`, which is read again when it changes. */
  readonly dockerConfig?: string
  readonly tagTtlMs?: number
  readonly staleIfErrorMs?: number
  /** A path that is put before the repository's name in requests to the hosts. */
  readonly prefix?: string
  /** Realms and redirects may lead to private, loopback and link-local addresses. */
  readonly allowPrivateTargets?: boolean
  /** Hosts outside the registry's own domain that may be its token service. */
  readonly realms?: readonly string[]
  /** What a GiB from the registry costs, in any currency; for the report of what was saved. */
  readonly costPerGiB?: number
  /** `upstream`: the registry decides which client gets what is cached of it. It has one host then. */
  readonly authorize?: 'upstream' | undefined
  /** For how long a right that the registry has confirmed counts while it cannot be asked. Default: a day. */
  readonly authorizeStaleMs?: number
  /** Over how many connections a large blob may come; `auto`: as many as make it faster. Default: one. */
  readonly connectionsPerBlob?: 'auto' | number
  /** How many blobs and ranges of blobs may be on their way at a time. */
  readonly maxConnections?: number | undefined
  /** How many requests to the registry may begin in a second. */
  readonly maxRequestsPerSecond?: number | undefined
  /** How many bytes of blobs may come in a second. */
  readonly maxBytesPerSecond?: number | undefined
}

export interface BasicCredentials {
  readonly username: string
  readonly password: string
}

export type { Proxies }

export interface Deadlines {
  readonly connectMs: number
  readonly headerMs: number
  readonly tokenMs: number
}

export interface UpstreamOptions {
  readonly entries?: readonly UpstreamEntry[]
  /** The credentials of `UPSTREAM_CREDENTIALS`, by namespace. They are used for registries whose entry has no username. */
  readonly credentials?: Readonly<Record<string, BasicCredentials>>
  /** The path of the Docker `config.json` for every registry whose entry names none. */
  readonly dockerConfig?: string
  readonly proxies?: Proxies
  readonly userAgent?: string
  readonly tagTtlMs?: number
  readonly staleIfErrorMs?: number
  readonly deadlines?: Partial<Deadlines>
  /** The wait before the first retry, doubled for each further one. Default: `DEFAULT_BACKOFF_MS`. */
  readonly backoffMs?: number
  /** Resolves host names. Default: the system's resolver. */
  readonly lookup?: Lookup
}

/** The settings of one registry with all defaults filled in. */
export interface Upstream {
  readonly namespace: string
  readonly hosts: readonly string[]
  readonly tls: boolean
  readonly acceptInvalidCerts: boolean
  readonly caFile: string | undefined
  readonly userAgent: string
  readonly basic: BasicCredentials | { readonly username: string; readonly passwordFile: string } | undefined
  readonly dockerConfig: string | undefined
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly prefix: string
  readonly allowPrivateTargets: boolean
  readonly realms: readonly string[]
  /** For how long a confirmed right counts while the registry cannot be asked; undefined: it does not decide. */
  readonly authorizeStaleMs: number | undefined
  readonly connectionsPerBlob: 'auto' | number
  readonly maxConnections: number | undefined
  readonly maxRequestsPerSecond: number | undefined
  readonly maxBytesPerSecond: number | undefined
  /** How far inside the network its hosts, and the targets of its redirects and realms, may lie. */
  readonly scopeLimit: AddressScope
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const HUB = 'docker.io'
const HUB_NAMES: ReadonlySet<string> = new Set([HUB, 'index.docker.io', 'registry-1.docker.io'])

export const DEFAULT_DEADLINES: Deadlines = { connectMs: 5000, headerMs: 10_000, tokenMs: 10_000 }

export const DEFAULT_BACKOFF_MS = 100

/** Gives the one name of a registry, in lower case. The three names of Docker Hub become one. */
export function canonicalNamespace(registry: string): string {
  const lower = registry.toLowerCase()
  return HUB_NAMES.has(lower) ? HUB : lower
}

/** Normalizes a host as `URL.host` does. Undefined when the text, which may come from a client, is not a host. */
export function parseHost(text: string): string | undefined {
  if (!/^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(text)) return undefined
  try {
    return new URL(`https://${text}`).host
  } catch {
    return undefined
  }
}

function basicCredentialsOf(
  entry: UpstreamEntry,
  fromEnvironment: BasicCredentials | undefined,
): Upstream['basic'] {
  const { username, password, passwordFile } = entry
  if (username !== undefined && passwordFile !== undefined) return { username, passwordFile }
  if (username !== undefined && password !== undefined) return { username, password }
  return fromEnvironment
}

function scopeLimitForUnlistedHost(host: string): AddressScope {
  const parsed = parseHost(host)
  return parsed === undefined ? 'public' : scopeLimitOfUnlisted(new URL(`https://${parsed}`).hostname)
}

/**
 * The settings of a registry: those of its entry, then the defaults. This function looks the entry up itself, so that
 * only a registry that the settings really list gets `ANY_SCOPE`.
 */
export function describeUpstream(options: UpstreamOptions, registry: string): Upstream {
  const namespace = canonicalNamespace(registry)
  const listed = options.entries?.findLast((each) => canonicalNamespace(each.namespace) === namespace)
  const entry: UpstreamEntry = listed ?? { namespace }
  const credentials = Object.entries(options.credentials ?? {}).find(
    ([name]) => canonicalNamespace(name) === namespace,
  )?.[1]
  const ownHost = namespace === HUB ? 'registry-1.docker.io' : namespace
  return Object.freeze({
    namespace,
    hosts: entry.hosts === undefined || entry.hosts.length === 0 ? [ownHost] : entry.hosts,
    tls: entry.tls ?? true,
    acceptInvalidCerts: entry.acceptInvalidCerts ?? false,
    caFile: entry.caFile,
    userAgent: entry.userAgent ?? options.userAgent ?? 'leat',
    basic: basicCredentialsOf(entry, credentials),
    dockerConfig: entry.dockerConfig ?? options.dockerConfig,
    tagTtlMs: entry.tagTtlMs ?? options.tagTtlMs ?? MINUTE_MS,
    staleIfErrorMs: entry.staleIfErrorMs ?? options.staleIfErrorMs ?? 7 * DAY_MS,
    prefix: (entry.prefix ?? '').replace(/^\/+|\/+$/g, ''),
    allowPrivateTargets: entry.allowPrivateTargets ?? false,
    realms: (entry.realms ?? []).map((host) => host.toLowerCase()),
    authorizeStaleMs: entry.authorize === 'upstream' ? (entry.authorizeStaleMs ?? DAY_MS) : undefined,
    connectionsPerBlob: entry.connectionsPerBlob ?? 1,
    maxConnections: entry.maxConnections,
    maxRequestsPerSecond: entry.maxRequestsPerSecond,
    maxBytesPerSecond: entry.maxBytesPerSecond,
    scopeLimit: listed === undefined ? scopeLimitForUnlistedHost(ownHost) : ANY_SCOPE,
  })
}

/** The name of a repository in requests to the hosts of its upstream. */
export function repositoryNameAtHosts({ prefix }: Upstream, name: string): string {
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Gives what a GiB from a registry costs; undefined without a price. */
export function costPerGiB({ entries = [] }: UpstreamOptions, registry: string): number | undefined {
  const namespace = canonicalNamespace(registry)
  return entries.find((entry) => canonicalNamespace(entry.namespace) === namespace)?.costPerGiB
}
