import { parseRegistryHost } from '../oci/names/registry-host.ts'
import { type Address, parseAddress, parseHostName } from './values/address.ts'
import { parseDuration } from './values/duration.ts'
import { listOf, oneOf, type Shape, text, yesOrNo } from './values/shape.ts'
import { type DiskLimit, parseDiskLimit, parseSize } from './values/size.ts'
import { type UpstreamSettings, upstreams } from './values/upstream.ts'
import { type WarmSettings, warm } from './values/warm.ts'

/** One setting: everything about it that is known anywhere. */
export interface Setting<Value> {
  /** Without dashes; undefined: only the file can give it. */
  readonly flag: string | undefined
  /** `LEAT_` and the flag in capitals. */
  readonly env: string | undefined
  readonly inFile: boolean
  readonly shape: Shape<Value>
  readonly fallback: Value
  /** As the help shows the default. */
  readonly shown: string
  readonly help: string
  readonly example: string
  /** A flag that may be given several times. */
  readonly repeatable: boolean
  /** A flag that has no value: given, it means `true`. */
  readonly isSwitch: boolean
}

const address = text(parseAddress, 'host:port, such as 127.0.0.1:5050, 0.0.0.0:5050 or [::1]:5050')
const path = text((given) => (given.includes('\0') ? undefined : given), 'a path')
const rate = text((given) => {
  const bytes = parseSize(given)
  return bytes !== undefined && bytes >= LEAST_RATE ? bytes : undefined
}, 'bytes per second such as 100MiB, at least 64KiB')
const LEAST_RATE = 64 * 1024
const ALLOW = /^(?=.{1,255}$)[a-z0-9.*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)+$/
const DRAIN_LIMIT_MS = 3_600_000

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/**
 * Every setting there is, by its key in the file. A new one is one entry here: flags, environment, file, help and the
 * `Settings` type follow from it.
 */
export const SETTINGS = Object.freeze({
  config: setting<string | undefined>({
    flag: 'config',
    inFile: false,
    shape: path,
    fallback: undefined,
    shown: '/etc/leat/config.yaml if present',
    help: 'YAML file with settings',
    example: './leat.yaml',
  }),
  listen: setting({
    flag: 'listen',
    shape: address,
    fallback: Object.freeze({ host: '127.0.0.1', port: 5050 }),
    shown: '127.0.0.1:5050',
    help: 'address of the OCI registry API, HTTP/1.1 and h2c on one port',
    example: '127.0.0.1:5050',
  }),
  admin: setting({
    flag: 'admin',
    shape: address,
    fallback: Object.freeze({ host: '127.0.0.1', port: 5051 }),
    shown: '127.0.0.1:5051',
    help: 'address of a page for people, /metrics, /healthz, /readyz and /api/v1',
    example: '127.0.0.1:5051',
  }),
  data: setting({
    flag: 'data',
    shape: path,
    fallback: './.leat',
    shown: './.leat',
    help: 'folder for everything the agent keeps',
    example: '/var/lib/leat',
  }),
  maxBytes: setting<DiskLimit>({
    flag: 'max-bytes',
    shape: text(parseDiskLimit, 'a size such as 50GiB or a share of the filesystem such as 80%'),
    fallback: Object.freeze({ percent: 80 }),
    shown: '80%',
    help: 'how much the store may hold, as a size or as a share of its filesystem',
    example: '50GiB',
  }),
  scrubRate: setting({
    flag: 'scrub-rate',
    shape: text(parseSize, 'bytes per second such as 16MiB, or 0 for none'),
    fallback: 16 * 1024 * 1024,
    shown: '16MiB',
    help: 'how fast stored content may be re-hashed while nobody pulls; 0: only agent verify does it',
    example: '64MiB',
  }),
  tlsCert: setting<string | undefined>({
    flag: 'tls-cert',
    shape: path,
    fallback: undefined,
    shown: 'none',
    help: 'PEM certificate for --listen; turns TLS on, with ALPN for h2 and http/1.1',
    example: '/etc/leat/tls.crt',
  }),
  tlsKey: setting<string | undefined>({
    flag: 'tls-key',
    shape: path,
    fallback: undefined,
    shown: 'none',
    help: 'PEM key of --tls-cert',
    example: '/etc/leat/tls.key',
  }),
  allow: setting<readonly string[] | undefined>({
    flag: 'allow',
    shape: listOf(
      text(
        (given) => (ALLOW.test(given) ? given : undefined),
        'registry/repository with * for one part and ** for any, such as docker.io/library/*',
      ),
    ),
    fallback: undefined,
    shown: 'everything',
    help: 'repositories that may be pulled; any other is answered with 404',
    example: 'docker.io/library/*',
    repeatable: true,
  }),
  defaultNamespace: setting({
    flag: 'default-namespace',
    shape: text(parseRegistryHost, 'a registry such as docker.io or localhost:5000'),
    fallback: 'docker.io',
    shown: 'docker.io',
    help: 'registry for requests that name none',
    example: 'ghcr.io',
  }),
  drainTimeout: setting({
    flag: 'drain-timeout',
    shape: text((given) => {
      const ms = parseDuration(given)
      return ms !== undefined && ms <= DRAIN_LIMIT_MS ? ms : undefined
    }, 'a duration such as 25s, at most 1h'),
    fallback: 25_000,
    shown: '25s',
    help: 'how long transfers under way may go on after SIGTERM',
    example: '2m',
  }),
  peersSecretFile: setting<string | undefined>({
    flag: 'peers-secret-file',
    shape: path,
    fallback: undefined,
    shown: 'none',
    help: 'file with the secret of the swarm; turns peers on. Two lines: the first is used, both are accepted',
    example: '/etc/leat/swarm-secret',
  }),
  bootstrap: setting<readonly Address[]>({
    flag: 'bootstrap',
    shape: listOf(address),
    fallback: Object.freeze([]),
    shown: 'none',
    help: 'DHT nodes through which peers find each other: agent dht, or the --dht address of any other agent',
    example: 'leat-dht.leat.svc:49737',
    repeatable: true,
  }),
  publicDht: setting({
    flag: 'public-dht',
    shape: yesOrNo,
    fallback: false,
    shown: 'false',
    help: 'find peers through the public DHT of hyperswarm when there is no --bootstrap',
    example: 'true',
    isSwitch: true,
  }),
  dht: setting({
    flag: 'dht',
    shape: address,
    fallback: Object.freeze({ host: '0.0.0.0', port: 49_737 }),
    shown: '0.0.0.0:49737',
    help: 'UDP address of the DHT, over which peers find each other',
    example: '10.0.0.7:49737',
  }),
  peerListen: setting({
    flag: 'peer-listen',
    shape: address,
    fallback: Object.freeze({ host: '0.0.0.0', port: 5052 }),
    shown: '0.0.0.0:5052',
    help: 'TCP address at which peers are given content, over TLS with proof of the secret',
    example: '10.0.0.7:5052',
  }),
  advertise: setting<string | undefined>({
    flag: 'advertise',
    shape: text(parseHostName, 'an IP address or a host name'),
    fallback: undefined,
    shown: 'guessed',
    help: 'host at which peers reach this agent; in Kubernetes the IP of the pod or the node',
    example: '10.0.0.7',
  }),
  zone: setting<string | undefined>({
    flag: 'zone',
    shape: text(
      (given) => (/^[\w.:/-]{1,63}$/.test(given) ? given : undefined),
      'up to 63 letters, digits and . _ : / -',
    ),
    fallback: undefined,
    shown: 'none',
    help: 'peers of the same zone are preferred; one copy crosses to each other zone',
    example: 'eu-west-1a',
  }),
  maxUpload: setting<number | undefined>({
    flag: 'max-upload',
    shape: rate,
    fallback: undefined,
    shown: 'none',
    help: 'bytes per second towards all peers together',
    example: '100MiB',
  }),
  maxDownload: setting<number | undefined>({
    flag: 'max-download',
    shape: rate,
    fallback: undefined,
    shown: 'none',
    help: 'bytes per second from all peers together',
    example: '200MiB',
  }),
  logLevel: setting<LogLevel>({
    flag: 'log-level',
    shape: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    fallback: 'info',
    shown: 'info',
    help: 'how much goes to stderr as JSON lines: trace, debug, info, warn, error, fatal or silent',
    example: 'debug',
  }),
  upstreams: setting<readonly UpstreamSettings[]>({
    flag: undefined,
    shape: upstreams,
    fallback: Object.freeze([]),
    shown: 'every registry, anonymously',
    help: 'how single registries are reached: hosts, TLS, credentials, freshness of tags',
    example: '[{ namespace: docker.io, host: mirror.example.com }]',
  }),
  warm: setting<readonly WarmSettings[]>({
    flag: undefined,
    shape: warm,
    fallback: Object.freeze([]),
    shown: 'none',
    help: 'images that the agent keeps here before anybody pulls them',
    example: '[docker.io/library/alpine:3]',
  }),
})

export type SettingName = keyof typeof SETTINGS
type ValueOf<Of> = Of extends Setting<infer Value> ? Value : never

/** What the agent was told to do, checked and frozen; durations in milliseconds. */
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> }

/** Kubernetes puts these into every container beside a service called `leat`; they are nobody's mistake. */
export const SERVICE_LINK =
  /^LEAT_(?:.*_)?(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)$/

function setting<Value>(
  given: Pick<Setting<Value>, 'flag' | 'shape' | 'fallback' | 'shown' | 'help' | 'example'> &
    Partial<Pick<Setting<Value>, 'inFile' | 'repeatable' | 'isSwitch'>>,
): Setting<Value> {
  const env = given.flag === undefined ? undefined : `LEAT_${given.flag.toUpperCase().replaceAll('-', '_')}`
  return Object.freeze({ inFile: true, repeatable: false, isSwitch: false, env, ...given })
}
