import { isDeepStrictEqual } from 'node:util'
import type { LanePool } from '../lanes/lane-pool.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import { UpstreamHost } from './host.ts'
import type { RateLimitNotices } from './limits/rate-limit-notices.ts'
import { UpstreamLimits } from './limits/upstream-limits.ts'
import {
  canonicalNamespace,
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  parseHost,
  type Upstream,
  type UpstreamOptions,
} from './options/options.ts'
import { Transport } from './transport/transport.ts'

/** Bounds the remembered registries without an entry, because clients may name any host. */
const MOST_UNLISTED = 256

/** What the upstreams use that the agent has anyway. */
export interface UpstreamParts {
  /** Exchange notices about rate limits with other agents. */
  readonly notices?: RateLimitNotices | undefined
  /** Read the bodies of blobs; without them undici does. */
  readonly lanes?: LanePool | undefined
}

/** A registry, the hosts that are asked for it, and the connections to them. */
export interface Registration {
  readonly upstream: Upstream
  readonly hosts: readonly UpstreamHost[]
  readonly transport: Transport
}

/** The registries of the options, and those that clients name. */
export class Registrations {
  readonly #parts: UpstreamParts
  readonly #stopping = new AbortController()
  /** By their TLS settings. Those that no registry uses any more stay, for transfers under way; there are few. */
  readonly #transports = new Map<string, Transport>()
  #options: UpstreamOptions
  #listed: ReadonlyMap<string, Registration> = new Map()
  #unlisted = new BoundedMap<string, Registration>(MOST_UNLISTED)

  constructor(options: UpstreamOptions, parts: UpstreamParts = {}) {
    this.#options = options
    this.#parts = parts
    this.#listed = this.#listedBy(options)
  }

  get options(): UpstreamOptions {
    return this.#options
  }

  get backoffMs(): number {
    return this.#options.backoffMs ?? DEFAULT_BACKOFF_MS
  }

  all(): readonly Registration[] {
    return [...this.#listed.values(), ...this.#unlisted.values()]
  }

  upstreamOf({ registry }: Repository): Upstream {
    const namespace = canonicalNamespace(registry)
    return this.#listed.get(namespace)?.upstream ?? describeUpstream(this.#options, namespace)
  }

  hostsOf({ registry }: Repository): readonly UpstreamHost[] {
    const namespace = canonicalNamespace(registry)
    const listed = this.#listed.get(namespace)
    if (listed !== undefined) return listed.hosts
    let entry = this.#unlisted.get(namespace)
    if (entry === undefined) {
      if (parseHost(namespace) === undefined) return []
      entry = this.#make(describeUpstream(this.#options, namespace))
    }
    // `set` makes the registry the most recently used one, so that the bound removes the least recently used.
    this.#unlisted.set(namespace, entry)
    return entry.hosts
  }

  readFiles(): Promise<void> {
    return readFilesOf(this.#listed.values())
  }

  /** As `Upstreams.checkFiles`. */
  async checkFiles(repository: Repository): Promise<readonly string[]> {
    const { caFile, basic, dockerConfig } = this.upstreamOf(repository)
    const hosts = this.hostsOf(repository)
    // What is wrong with a file that was good before is published by its reader.
    await Promise.all(hosts.map((host) => host.readCredentialFiles().catch(() => {})))
    const password = basic !== undefined && 'passwordFile' in basic ? basic.passwordFile : undefined
    return [caFile, password, dockerConfig].filter((file) => file !== undefined)
  }

  /** As `Upstreams.prepare`. */
  async prepare(options: UpstreamOptions): Promise<() => void> {
    const listed = this.#listedBy(options)
    await readFilesOf(listed.values())
    return () => {
      this.#options = options
      this.#listed = listed
      // A registry may be listed now, or have other defaults.
      this.#unlisted = new BoundedMap(MOST_UNLISTED)
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'the agent is stopping'))
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()))
  }

  #listedBy(options: UpstreamOptions): ReadonlyMap<string, Registration> {
    const upstreams = (options.entries ?? []).map(({ namespace }) => describeUpstream(options, namespace))
    return new Map(
      upstreams.map((upstream) => {
        const existing = this.#listed.get(upstream.namespace)
        const isSame = existing !== undefined && isDeepStrictEqual(existing.upstream, upstream)
        return [upstream.namespace, isSame ? existing : this.#make(upstream)]
      }),
    )
  }

  #make(upstream: Upstream): Registration {
    const deadlines = { ...DEFAULT_DEADLINES, ...this.#options.deadlines }
    const transport = this.#transport(upstream)
    const { notices } = this.#parts
    const { backoffMs } = this
    const { lookup } = this.#options
    const { signal } = this.#stopping
    const limits = new UpstreamLimits(upstream)
    const hosts = upstream.hosts.map(
      (host) =>
        new UpstreamHost({
          upstream,
          host,
          limits,
          transport,
          lookup,
          deadlines,
          backoffMs,
          notices,
          signal,
        }),
    )
    return { upstream, hosts, transport }
  }

  #transport({ caFile, acceptInvalidCerts }: Upstream): Transport {
    const key = JSON.stringify([caFile, acceptInvalidCerts])
    let transport = this.#transports.get(key)
    if (transport === undefined) {
      const deadlines = { ...DEFAULT_DEADLINES, ...this.#options.deadlines }
      const { proxies, lookup } = this.#options
      const { lanes } = this.#parts
      transport = new Transport({ caFile, acceptInvalidCerts, proxies, lookup, deadlines, lanes })
      this.#transports.set(key, transport)
    }
    return transport
  }
}

async function readFilesOf(all: Iterable<Registration>): Promise<void> {
  await Promise.all(
    [...all].flatMap(({ hosts, transport }) => [
      transport.open(),
      ...hosts.map((host) => host.readCredentialFiles()),
    ]),
  )
}
