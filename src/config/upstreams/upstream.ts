import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { HOST_SCHEMA, isLoopback, parseHost } from '../values/address.ts'
import { DURATION_SCHEMA, parseDuration } from '../values/duration.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  needs,
  oneOf,
  path,
  record,
  refuse,
  secretText,
  text,
  textLike,
  yesOrNo,
} from '../values/format.ts'
import { Secret } from '../values/secret.ts'
import { type UpstreamLimitSettings, upstreamLimitFields, upstreamLimits } from './upstream-limits.ts'

/** How the agent authenticates to an upstream registry. */
export type UpstreamCredentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  | { readonly kind: 'password-file'; readonly username: string; readonly file: string }
  | { readonly kind: 'docker-config'; readonly file: string }

/** How the agent reaches one registry. */
export interface UpstreamSettings extends UpstreamLimitSettings {
  /** The registry as clients name it. */
  readonly namespace: string
  /** The hosts, as `host[:port]`, in the order in which they are tried; empty: the namespace itself. */
  readonly hosts: readonly string[]
  readonly tls: boolean
  readonly acceptInvalidCerts: boolean
  readonly caFile: string | undefined
  readonly userAgent: string | undefined
  readonly credentials: UpstreamCredentials | undefined
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  /** The agent puts the prefix before the repository name upstream; it has no slashes at its ends. */
  readonly prefix: string | undefined
  /** Whether the registry's token realm and redirects may be at private addresses. */
  readonly allowPrivateTargets: boolean
  /** Hosts outside the registry's own domain that may issue its tokens. */
  readonly realms: readonly string[]
  /** What a GiB from the registry costs, for the report of what was saved. */
  readonly costPerGiB: number | undefined
  /** `upstream`: the registry decides which client gets what is cached of it. */
  readonly authorize: 'upstream' | undefined
  /** For how long a right that it has confirmed counts while it cannot be asked. */
  readonly authorizeStaleMs: number
}

/** The settings of a registry without an entry, and the values that an entry leaves out. */
export const UPSTREAM_DEFAULTS = Object.freeze({
  hosts: Object.freeze([]) as readonly string[],
  tls: true,
  acceptInvalidCerts: false,
  caFile: undefined,
  userAgent: undefined,
  credentials: undefined,
  tagTtlMs: 60_000,
  staleIfErrorMs: 7 * 86_400_000,
  prefix: undefined,
  allowPrivateTargets: false,
  realms: Object.freeze([]) as readonly string[],
  costPerGiB: undefined,
  authorize: undefined,
  authorizeStaleMs: 86_400_000,
  ...upstreamLimits({}),
}) satisfies Omit<UpstreamSettings, 'namespace'>

const REPOSITORY_PREFIX =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/

export const price = text(
  (given) => (/^\d{1,6}(?:\.\d{1,6})?$/.test(given) ? Number(given) : undefined),
  'a price such as 0.09, in a currency of your choice',
  textLike(/^\d{1,6}(?:\.\d{1,6})?$/),
)
/** Basic authentication takes the first colon for the end of the name (RFC 7617, section 2). */
const username = text((given) => (given.includes(':') ? undefined : given), 'a name without a colon')
/** A line break in the value of a request header would start another header. */
const headerText = matching(/^[\x20-\x7e]{1,200}$/, 'printable ASCII')
const duration = text(parseDuration, 'a duration such as 60s, 1h30m or 7d', DURATION_SCHEMA)

const fields = {
  namespace: text(
    parseRegistryHost,
    'a registry as clients name it, such as docker.io or localhost:5000',
    HOST_SCHEMA,
  ),
  host: listOf(
    text(parseHost, 'host or host:port, such as registry-1.docker.io, without https://', HOST_SCHEMA),
  ),
  tls: yesOrNo,
  acceptInvalidCerts: yesOrNo,
  caFile: path,
  userAgent: headerText,
  username,
  password: secretText((given) => new Secret(given)),
  passwordFile: path,
  dockerConfig: path,
  tagTtl: duration,
  staleIfError: duration,
  prefix: matching(REPOSITORY_PREFIX, 'a path such as mirror/team', 200),
  allowPrivateTargets: yesOrNo,
  realms: listOf(text(parseHost, 'a host such as auth.example.com, without https://', HOST_SCHEMA)),
  costPerGiB: price,
  authorize: oneOf('upstream'),
  authorizeStale: duration,
  ...upstreamLimitFields,
}
const entry = record(
  fields,
  ['namespace'],
  [
    needs('username', 'password', 'passwordFile'),
    needs('password', 'username'),
    needs('passwordFile', 'username'),
    needs('authorizeStale', 'authorize'),
  ],
)

function readUpstream(item: GivenValue): UpstreamSettings {
  const given = entry.read(item)
  if (given.namespace === undefined) {
    return refuse(item, 'has no namespace; expected the registry that clients ask for, such as docker.io')
  }
  if (given.host?.length === 0) return refuse(item, 'has an empty list of hosts; give one or leave host out')
  if (given.authorize !== undefined) {
    const problem = authorizeProblem(given.namespace, given.host ?? [given.namespace], given.tls)
    if (problem !== undefined) return refuse(item, problem)
  }
  if (given.authorizeStale !== undefined && given.authorize === undefined)
    return refuse(item, 'gives authorizeStale without authorize')
  return Object.freeze({
    namespace: given.namespace,
    hosts: given.host ?? UPSTREAM_DEFAULTS.hosts,
    tls: given.tls ?? UPSTREAM_DEFAULTS.tls,
    acceptInvalidCerts: given.acceptInvalidCerts ?? UPSTREAM_DEFAULTS.acceptInvalidCerts,
    caFile: given.caFile,
    userAgent: given.userAgent,
    credentials: credentials(given, (problem) => refuse(item, problem)),
    tagTtlMs: given.tagTtl ?? UPSTREAM_DEFAULTS.tagTtlMs,
    staleIfErrorMs: given.staleIfError ?? UPSTREAM_DEFAULTS.staleIfErrorMs,
    prefix: given.prefix,
    allowPrivateTargets: given.allowPrivateTargets ?? UPSTREAM_DEFAULTS.allowPrivateTargets,
    realms: given.realms ?? UPSTREAM_DEFAULTS.realms,
    costPerGiB: given.costPerGiB,
    authorize: given.authorize,
    authorizeStaleMs: given.authorizeStale ?? UPSTREAM_DEFAULTS.authorizeStaleMs,
    ...upstreamLimits(given),
  })
}

const HUB_NAMES: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** Why the hosts must not decide and get the logins of clients. A host on this machine belongs to whoever runs the agent. */
function authorizeProblem(namespace: string, hosts: readonly string[], tls = true): string | undefined {
  if (hosts.length > 1)
    return 'has several hosts and authorize; give one host, that of the registry, which gets the logins of clients'
  const [host = namespace] = hosts
  const name = nameOf(host)
  if (isLoopback(name)) return undefined
  if (name !== nameOf(namespace))
    return `has authorize and the host ${host}, which would get the logins that clients have for ${namespace}; leave host out, or authorize`
  return tls
    ? undefined
    : 'has authorize and tls: false, which would send the logins of clients in plain text; use TLS'
}

/** The host without its port. The names of Docker Hub are one. */
function nameOf(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
  return HUB_NAMES.has(name) ? 'docker.io' : name
}

function credentials(
  given: ReturnType<typeof entry.read>,
  refuseEntry: (problem: string) => never,
): UpstreamCredentials | undefined {
  const { username, password, passwordFile, dockerConfig } = given
  const methods = [password, passwordFile, dockerConfig].filter((way) => way !== undefined)
  if (methods.length > 1) {
    return refuseEntry(
      'gives credentials in more than one way; keep one of password, passwordFile, dockerConfig',
    )
  }
  if (dockerConfig !== undefined) {
    if (username !== undefined) return refuseEntry('gives a username beside dockerConfig; keep one of them')
    return Object.freeze({ kind: 'docker-config', file: dockerConfig })
  }
  if (username === undefined) {
    return methods.length === 0 ? undefined : refuseEntry('gives a password without a username')
  }
  if (password !== undefined) return Object.freeze({ kind: 'password', username, password })
  if (passwordFile !== undefined)
    return Object.freeze({ kind: 'password-file', username, file: passwordFile })
  return refuseEntry('gives a username without a password or passwordFile')
}

/** The `upstreams` setting, in which each namespace occurs once. */
export const upstreams: Format<readonly UpstreamSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of upstreams')
    const entries = listOf({ ...entry, read: readUpstream }).read(given)
    const namespaces = new Set<string>()
    for (const [index, { namespace }] of entries.entries()) {
      if (namespaces.has(namespace)) {
        const items = given.value as readonly GivenValue[]
        return refuse(items[index] ?? given, `is a second entry for ${namespace}; keep one`)
      }
      namespaces.add(namespace)
    }
    return entries
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
