import type { AccessOptions } from '../access/options/access-options.ts'
import type { AdminAuth } from '../admin-api/admin-access.ts'
import type { DiskLimit } from '../lib/disk-limit.ts'
import { parseRegistryHost } from '../oci/names/registry-host.ts'
import { adminAuth, adminTls } from './access/admin.ts'
import { auth } from './access/auth.ts'
import { type ObjectStoreSettings, objectStore } from './buckets/object-store.ts'
import { type CopySettings, copies } from './copies/copies.ts'
import { type RedirectSettings, redirects } from './redirects.ts'
import { type RetentionSettings, retention } from './rules/retention.ts'
import { type UpstreamSettings, upstreams } from './upstreams/upstream.ts'
import {
  ADDRESS_SCHEMA,
  HOST_SCHEMA,
  parseAddress,
  parseHostName,
  type SocketAddress,
} from './values/address.ts'
import { DURATION_SCHEMA, parseDuration } from './values/duration.ts'
import { type Format, listOf, matching, oneOf, path, text, yesOrNo } from './values/format.ts'
import { hostedPattern, repositoryPattern } from './values/repository-pattern.ts'
import {
  byteRate,
  DISK_LIMIT_SCHEMA,
  parseDiskLimit,
  parseFreeSpace,
  parseSize,
  SIZE_SCHEMA,
} from './values/size.ts'
import { type SourceSettings, sources } from './values/sources.ts'
import { type WarmSettings, warm } from './values/warm.ts'
import { type WebhookSettings, webhooks } from './values/webhooks.ts'

/** The description of one setting. */
export interface Setting<Value> {
  /** The flag without dashes; undefined for a setting that only the file can give. */
  readonly flag: string | undefined
  /** The environment variable: `LEAT_` and the flag in capitals. */
  readonly env: string | undefined
  readonly inFile: boolean
  readonly format: Format<Value>
  readonly defaultValue: Value
  /** The default as the help shows it. */
  readonly defaultText: string
  readonly help: string
  readonly example: string
  /** Whether the flag may be given several times. */
  readonly repeatable: boolean
  /** Whether the flag has no value and means `true`. */
  readonly isSwitch: boolean
}

const address = text(
  parseAddress,
  'host:port, such as 127.0.0.1:5050, 0.0.0.0:5050 or [::1]:5050',
  ADDRESS_SCHEMA,
)
const DRAIN_LIMIT_MS = 3_600_000

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/**
 * Every setting by its key in the file. Flags, environment, file, help, JSON Schema and the `Settings` type follow from
 * this table. CONTRIBUTING.md says what hands a setting on to the part that uses it.
 */
export const SETTINGS = Object.freeze({
  config: setting<string | undefined>({
    flag: 'config',
    inFile: false,
    format: path,
    defaultValue: undefined,
    defaultText: '/etc/leat/config.yaml if present',
    help: 'YAML file with settings',
    example: './leat.yaml',
  }),
  listen: setting({
    flag: 'listen',
    format: address,
    defaultValue: Object.freeze({ host: '127.0.0.1', port: 5050 }),
    defaultText: '127.0.0.1:5050',
    help: 'address of the OCI registry API, HTTP/1.1 and h2c on one port',
    example: '127.0.0.1:5050',
  }),
  admin: setting({
    flag: 'admin',
    format: address,
    defaultValue: Object.freeze({ host: '127.0.0.1', port: 5051 }),
    defaultText: '127.0.0.1:5051',
    help: 'address of the web page, /metrics, /healthz, /readyz and /api/v1',
    example: '127.0.0.1:5051',
  }),
  adminAuth: setting<AdminAuth | undefined>({
    flag: undefined,
    format: adminAuth,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'files with the tokens that the admin address asks for: one for everything, and one for reading',
    example: '{ tokenFile: /etc/leat/admin-token, readTokenFile: /etc/leat/metrics-token }',
  }),
  adminTls: setting<{ readonly cert: string; readonly key: string } | undefined>({
    flag: undefined,
    format: adminTls,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'PEM certificate and key for --admin; enables TLS',
    example: '{ cert: /etc/leat/admin.crt, key: /etc/leat/admin.key }',
  }),
  adminTokenFile: setting<string | undefined>({
    flag: 'admin-token-file',
    inFile: false,
    format: path,
    defaultValue: undefined,
    defaultText: 'that of adminAuth',
    help: 'file with the token that commands send to the admin address; agent serve asks for this token',
    example: '/etc/leat/admin-token',
  }),
  adminCa: setting<string | undefined>({
    flag: 'admin-ca',
    inFile: false,
    format: path,
    defaultValue: undefined,
    defaultText: 'that of adminTls',
    help: 'PEM file of the authority of the admin address; commands then use TLS',
    example: '/etc/leat/admin-ca.pem',
  }),
  metricsListen: setting<SocketAddress | undefined>({
    flag: 'metrics-listen',
    format: address,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'address of /metrics, /healthz and /readyz alone, without a token; for Prometheus on another machine',
    example: '10.0.0.7:5053',
  }),
  data: setting({
    flag: 'data',
    format: path,
    defaultValue: './.leat',
    defaultText: './.leat',
    help: 'folder for everything that the agent stores',
    example: '/var/lib/leat',
  }),
  maxBytes: setting<DiskLimit>({
    flag: 'max-bytes',
    format: text(
      parseDiskLimit,
      'a size such as 50GiB or a share of the filesystem such as 80%',
      DISK_LIMIT_SCHEMA,
    ),
    defaultValue: Object.freeze({ percent: 80 }),
    defaultText: '80%',
    help: 'maximum size of the store, as a size or a share of its filesystem',
    example: '50GiB',
  }),
  minFree: setting<DiskLimit>({
    flag: 'min-free',
    format: text(
      parseFreeSpace,
      'a size such as 20GiB, a share of the filesystem such as 10%, or 0 for nothing',
      DISK_LIMIT_SCHEMA,
    ),
    defaultValue: Object.freeze({ percent: 10, atMostBytes: 20 * 1024 ** 3 }),
    defaultText: '10%, at most 20GiB',
    help: 'how much of the filesystem stays free, whoever fills it; the store then shrinks, down to what is in use',
    example: '20%',
  }),
  scrubRate: setting({
    flag: 'scrub-rate',
    format: text(parseSize, 'bytes per second such as 16MiB, or 0 for none', SIZE_SCHEMA),
    defaultValue: 16 * 1024 * 1024,
    defaultText: '16MiB',
    help: 'bytes per second to re-hash stored content while no transfer is under way; 0: only agent verify re-hashes',
    example: '64MiB',
  }),
  lanes: setting<number | undefined>({
    flag: 'lanes',
    format: text((given) => (/^[1-8]$/.test(given) ? Number(given) : undefined), 'a number from 1 to 8'),
    defaultValue: undefined,
    defaultText: 'one less than there are processors, from 2 to 8',
    help: 'how many threads receive, verify and write content at the same time',
    example: '4',
  }),
  lazyRanges: setting<'off' | 'gated' | 'trusted'>({
    flag: 'lazy-ranges',
    format: oneOf('off', 'gated', 'trusted'),
    defaultValue: 'off',
    defaultText: 'off',
    help: 'whether a range of a blob that is not stored yet comes before the rest; gated: but for the last 64 KiB of the blob, which wait for its verification; trusted: with them',
    example: 'gated',
  }),
  tlsCert: setting<string | undefined>({
    flag: 'tls-cert',
    format: path,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'PEM certificate for --listen; enables TLS, with ALPN for h2 and http/1.1',
    example: '/etc/leat/tls.crt',
  }),
  tlsKey: setting<string | undefined>({
    flag: 'tls-key',
    format: path,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'PEM key of --tls-cert',
    example: '/etc/leat/tls.key',
  }),
  auth: setting<AccessOptions | undefined>({
    flag: undefined,
    format: auth,
    defaultValue: undefined,
    defaultText: 'everybody may pull',
    help: 'who may use the registry API: how clients log in, and what they may do then',
    example: '{ htpasswd: /etc/leat/users }',
  }),
  allow: setting<readonly string[] | undefined>({
    flag: 'allow',
    format: listOf(repositoryPattern),
    defaultValue: undefined,
    defaultText: 'everything',
    help: 'repositories that may be pulled; all others are answered with 404',
    example: 'docker.io/library/*',
    repeatable: true,
  }),
  hosted: setting<readonly string[]>({
    flag: 'hosted',
    format: listOf(hostedPattern),
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'repositories that clients push to; they are kept here, and never fetched from elsewhere',
    example: 'team/**',
    repeatable: true,
  }),
  hostedGrace: setting({
    flag: 'hosted-grace',
    format: text(parseDuration, 'a duration such as 24h', DURATION_SCHEMA),
    defaultValue: 24 * 60 * 60 * 1000,
    defaultText: '24h',
    help: 'how long pushed content stays that no tag needs',
    example: '2h',
  }),
  hostedRetention: setting<readonly RetentionSettings[]>({
    flag: undefined,
    format: retention,
    defaultValue: Object.freeze([]),
    defaultText: 'tags stay',
    help: 'which tags of hosted repositories stay; the others are removed about once a day',
    example: '[{ names: [team/**], keepTags: [v*], keepLast: 10 }]',
  }),
  hostedDelete: setting({
    flag: 'hosted-delete',
    format: yesOrNo,
    defaultValue: true,
    defaultText: 'true',
    help: 'whether clients may delete tags, manifests and blobs of hosted repositories',
    example: 'false',
  }),
  defaultNamespace: setting({
    flag: 'default-namespace',
    format: text(parseRegistryHost, 'a registry such as docker.io or localhost:5000', HOST_SCHEMA),
    defaultValue: 'docker.io',
    defaultText: 'docker.io',
    help: 'registry for requests that name none',
    example: 'ghcr.io',
  }),
  drainTimeout: setting({
    flag: 'drain-timeout',
    format: text(
      (given) => {
        const ms = parseDuration(given)
        return ms !== undefined && ms <= DRAIN_LIMIT_MS ? ms : undefined
      },
      'a duration such as 25s, at most 1h',
      DURATION_SCHEMA,
    ),
    defaultValue: 25_000,
    defaultText: '25s',
    help: 'how long answers under way may continue after SIGTERM',
    example: '2m',
  }),
  peersSecretFile: setting<string | undefined>({
    flag: 'peers-secret-file',
    format: path,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'file with the secret of the swarm; enables peers. Two lines: the first is used, both are accepted',
    example: '/etc/leat/swarm-secret',
  }),
  bootstrap: setting<readonly SocketAddress[]>({
    flag: 'bootstrap',
    format: listOf(address),
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'DHT nodes through which peers find each other: agent dht, or the --dht address of any other agent',
    example: 'leat-dht.leat.svc:49737',
    repeatable: true,
  }),
  publicDht: setting({
    flag: 'public-dht',
    format: yesOrNo,
    defaultValue: false,
    defaultText: 'false',
    help: 'find peers through the public DHT of hyperswarm if there is no --bootstrap',
    example: 'true',
    isSwitch: true,
  }),
  dht: setting({
    flag: 'dht',
    format: address,
    defaultValue: Object.freeze({ host: '0.0.0.0', port: 49_737 }),
    defaultText: '0.0.0.0:49737',
    help: "UDP address of this node's DHT socket, over which peers find each other",
    example: '10.0.0.7:49737',
  }),
  peerListen: setting({
    flag: 'peer-listen',
    format: address,
    defaultValue: Object.freeze({ host: '0.0.0.0', port: 5052 }),
    defaultText: '0.0.0.0:5052',
    help: 'TCP address that serves content to peers, over TLS with proof of the secret',
    example: '10.0.0.7:5052',
  }),
  advertise: setting<string | undefined>({
    flag: 'advertise',
    format: text(parseHostName, 'an IP address or a host name'),
    defaultValue: undefined,
    defaultText: 'guessed',
    help: 'host under which peers reach this agent; in Kubernetes the IP of the pod or the node',
    example: '10.0.0.7',
  }),
  nodeName: setting<string | undefined>({
    flag: 'node-name',
    format: matching(/^[\w.:-]{1,253}$/, 'up to 253 letters, digits and . _ : -'),
    defaultValue: undefined,
    defaultText: 'name of the machine',
    help: 'how reports, the page and peers name this node',
    example: 'worker-7',
  }),
  zone: setting<string | undefined>({
    flag: 'zone',
    format: matching(/^[\w.:/-]{1,63}$/, 'up to 63 letters, digits and . _ : / -'),
    defaultValue: undefined,
    defaultText: 'none',
    help: 'peers in the same zone are preferred; one copy crosses to each other zone',
    example: 'eu-west-1a',
  }),
  maxUpload: setting<number | undefined>({
    flag: 'max-upload',
    format: byteRate,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'bytes per second to all peers together',
    example: '100MiB',
  }),
  maxDownload: setting<number | undefined>({
    flag: 'max-download',
    format: byteRate,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'bytes per second from all peers together',
    example: '200MiB',
  }),
  logLevel: setting<LogLevel>({
    flag: 'log-level',
    format: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    defaultValue: 'info',
    defaultText: 'info',
    help: 'level of the log on stderr: trace, debug, info, warn, error, fatal or silent',
    example: 'debug',
  }),
  logFormat: setting<'auto' | 'json' | 'pretty'>({
    flag: 'log-format',
    format: oneOf('auto', 'json', 'pretty'),
    defaultValue: 'auto',
    defaultText: 'auto',
    help: 'JSON lines, or lines for people, which have colors on a terminal unless NO_COLOR is set; auto: for people on a terminal',
    example: 'json',
  }),
  upstreams: setting<readonly UpstreamSettings[]>({
    flag: undefined,
    format: upstreams,
    defaultValue: Object.freeze([]),
    defaultText: 'every registry, anonymously',
    help: 'how individual registries are reached: hosts, TLS, credentials, freshness of tags',
    example: '[{ namespace: docker.io, host: mirror.example.com }]',
  }),
  docker: setting({
    flag: 'docker',
    inFile: false,
    format: yesOrNo,
    defaultValue: false,
    defaultText: 'false',
    help: 'serve the images of a Docker daemon and no others; reads DOCKER_HOST and its companions, and REGISTRY_PREFIXES',
    example: 'true',
    isSwitch: true,
  }),
  sources: setting<readonly SourceSettings[]>({
    flag: undefined,
    format: sources,
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'images on this machine that are served without being pulled: Docker, OCI layouts, folders of skopeo',
    example: '[{ ociLayout: /srv/images }]',
  }),
  objectStore: setting<ObjectStoreSettings | undefined>({
    flag: undefined,
    format: objectStore,
    defaultValue: undefined,
    defaultText: 'none',
    help: 'a bucket of S3, or of a server that speaks it, which is asked before upstream and filled with what came from there',
    example: '{ url: s3://bucket/prefix, region: eu-central-1 }',
  }),
  copies: setting<readonly CopySettings[]>({
    flag: undefined,
    format: copies,
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'images that the agent copies into buckets: at certain times, when they are pushed, or when they are pulled often',
    example: '[{ to: s3://bucket-eu, schedule: { images: [alpine:3.20], every: 6h } }]',
  }),
  warm: setting<readonly WarmSettings[]>({
    flag: undefined,
    format: warm,
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'images that the agent stores before they are pulled',
    example: '[docker.io/library/alpine:3]',
  }),
  redirects: setting<readonly RedirectSettings[]>({
    flag: undefined,
    format: redirects,
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'hosts that lead to a registry elsewhere, by redirects or from the cache',
    example: '[{ host: images.example.dev, to: https://us-docker.pkg.dev/v2/project/repo/ }]',
  }),
  webhooks: setting<readonly WebhookSettings[]>({
    flag: undefined,
    format: webhooks,
    defaultValue: Object.freeze([]),
    defaultText: 'none',
    help: 'URLs that are told of pulls, pushes, deletions and the first use of images',
    example: '[{ url: https://hooks.example.com/leat }]',
  }),
})

export type SettingName = keyof typeof SETTINGS
type ValueOf<Of> = Of extends Setting<infer Value> ? Value : never

/** The checked and frozen settings of an agent; durations are in milliseconds. */
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> }

/** Kubernetes sets these variables in every container if there is a service called `leat`, so they are not mistakes. */
export const SERVICE_LINK =
  /^LEAT_(?:.*_)?(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)$/

function setting<Value>(
  given: Pick<Setting<Value>, 'flag' | 'format' | 'defaultValue' | 'defaultText' | 'help' | 'example'> &
    Partial<Pick<Setting<Value>, 'inFile' | 'repeatable' | 'isSwitch'>>,
): Setting<Value> {
  const env = given.flag === undefined ? undefined : `LEAT_${given.flag.toUpperCase().replaceAll('-', '_')}`
  return Object.freeze({ inFile: true, repeatable: false, isSwitch: false, env, ...given })
}
