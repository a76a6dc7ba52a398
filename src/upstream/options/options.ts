import { ANYWHERE, type Lookup, type Reach, reachUnlisted } from './address.ts'

/** One upstream as the operator describes it. Everything but `namespace` may be left out. */
export interface UpstreamEntry {
  /** The registry as users name it: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly namespace: string
  /** `host[:port]`, asked in this order; default: the namespace's own host. */
  readonly hosts?: readonly string[]
  readonly tls?: boolean
  readonly acceptInvalidCerts?: boolean
  /** PEM of authorities trusted besides the usual ones. */
  readonly caFile?: string
  readonly userAgent?: string
  readonly username?: string
  readonly password?: string
  /** Read again when it changes. */
  readonly passwordFile?: string
  /** Path of a docker `config.json`, read again when it changes. */
  readonly dockerConfig?: string
  readonly tagTtlMs?: number
  readonly staleIfErrorMs?: number
  /** Path put before the repository's name upstream. */
  readonly prefix?: string
  /** Token realms and redirects may lead to private, loopback and link-local addresses. */
  readonly allowPrivateTargets?: boolean
  /** Hosts that may give out tokens though they lie outside the registry's own domain. */
  readonly realms?: readonly string[]
}

export interface BasicPair {
  readonly username: string
  readonly password: string
}

export interface Proxies {
  readonly http?: string
  readonly https?: string
  /** As in `NO_PROXY`. */
  readonly exceptions?: string
}

export interface Deadlines {
  readonly connectMs: number
  readonly headerMs: number
  readonly tokenMs: number
}

export interface UpstreamOptions {
  readonly entries?: readonly UpstreamEntry[]
  /** `UPSTREAM_CREDENTIALS`: by namespace, for entries that bring none of their own. */
  readonly credentials?: Readonly<Record<string, BasicPair>>
  /** docker `config.json` for every upstream that names none. */
  readonly dockerConfig?: string
  readonly proxies?: Proxies
  readonly userAgent?: string
  readonly tagTtlMs?: number
  readonly staleIfErrorMs?: number
  readonly deadlines?: Partial<Deadlines>
  /** Before what has failed is asked for again, and twice as long each time after that; default: `BACKOFF_MS`. */
  readonly backoffMs?: number
  /** Resolves the names of hosts; default: as the system does. */
  readonly lookup?: Lookup
}

/** What holds for one registry, with nothing left open. */
export interface Upstream {
  readonly namespace: string
  readonly hosts: readonly string[]
  readonly tls: boolean
  readonly acceptInvalidCerts: boolean
  readonly caFile: string | undefined
  readonly userAgent: string
  readonly basic: BasicPair | { readonly username: string; readonly passwordFile: string } | undefined
  readonly dockerConfig: string | undefined
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly prefix: string
  readonly allowPrivateTargets: boolean
  readonly realms: readonly string[]
  /** How far inside the network its hosts may lie, and send us at most. */
  readonly reach: Reach
}

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const HUB = 'docker.io'
const HUB_NAMES: ReadonlySet<string> = new Set([HUB, 'index.docker.io', 'registry-1.docker.io'])

export const DEADLINES: Deadlines = { connectMs: 5000, headerMs: 10_000, tokenMs: 10_000 }

export const BACKOFF_MS = 100

/** Docker Hub goes by three names and is one upstream. */
export function canonicalNamespace(registry: string): string {
  const lower = registry.toLowerCase()
  return HUB_NAMES.has(lower) ? HUB : lower
}

/** The host in the form in which a URL gives it back, or undefined when it is none: it may come from a client. */
export function parseHost(text: string): string | undefined {
  if (!/^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(text)) return undefined
  try {
    return new URL(`https://${text}`).host
  } catch {
    return undefined
  }
}

function basicOf(entry: UpstreamEntry, fromEnvironment: BasicPair | undefined): Upstream['basic'] {
  const { username, password, passwordFile } = entry
  if (username !== undefined && passwordFile !== undefined) return { username, passwordFile }
  if (username !== undefined && password !== undefined) return { username, password }
  return fromEnvironment
}

/** Where a registry that the settings do not list may lie. */
function reachOfUnlisted(host: string): Reach {
  const parsed = parseHost(host)
  return parsed === undefined ? 'public' : reachUnlisted(new URL(`https://${parsed}`).hostname)
}

/**
 * What holds for a registry: the settings of its entry over the defaults. The entry is looked up here, so that only
 * one that is really listed may lie anywhere.
 */
export function describe(options: UpstreamOptions, registry: string): Upstream {
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
    basic: basicOf(entry, credentials),
    dockerConfig: entry.dockerConfig ?? options.dockerConfig,
    tagTtlMs: entry.tagTtlMs ?? options.tagTtlMs ?? MINUTE,
    staleIfErrorMs: entry.staleIfErrorMs ?? options.staleIfErrorMs ?? 7 * DAY,
    prefix: (entry.prefix ?? '').replace(/^\/+|\/+$/g, ''),
    allowPrivateTargets: entry.allowPrivateTargets ?? false,
    realms: (entry.realms ?? []).map((host) => host.toLowerCase()),
    reach: listed === undefined ? reachOfUnlisted(ownHost) : ANYWHERE,
  })
}

/** What a repository is called at the hosts of its upstream. */
export function nameAtHosts({ prefix }: Upstream, name: string): string {
  return prefix === '' ? name : `${prefix}/${name}`
}
