import type { LanePool } from '../lanes/lane-pool.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { Registry, TagHead } from '../ports/registry.ts'
import type { Source, Want } from '../ports/source.ts'
import { PrivateRepositories } from './auth/private-repositories.ts'
import { type HostState, UpstreamHost } from './host.ts'
import type { RateLimitNotices } from './limits/rate-limit-notices.ts'
import { askInRounds } from './limits/rounds.ts'
import {
  canonicalNamespace,
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  parseHost,
  type Upstream,
  type UpstreamOptions,
} from './options/options.ts'
import { requestHead } from './requests/head.ts'
import { requestReferrers } from './requests/referrers.ts'
import { requestTag } from './requests/tag.ts'
import { requestTags } from './requests/tags.ts'
import { Transport } from './transport/transport.ts'

/** Bounds the remembered registries without an entry, because clients may name any host. */
const MOST_UNLISTED = 256

export interface UpstreamStatus extends HostState {
  readonly host: string
  readonly namespace: string
}

/** All registries: those of the settings, and those that clients name. */
export interface Upstreams extends Registry {
  /** The hosts that are asked for content of the repository, in order. */
  hosts(repository: Repository): readonly string[]
  status(): UpstreamStatus[]
  /** Reads the rate-limit notices that other agents have sent about this host. */
  readRateLimitNotices(host: string): void
  /** Reads the files with credentials and certificates. Rejects with a `FileProblem` if one cannot be used. */
  readFiles(): Promise<void>
  close(): Promise<void>
}

interface Registered {
  readonly upstream: Upstream
  readonly hosts: readonly UpstreamHost[]
}

/** What the upstreams use that the agent has anyway. */
export interface UpstreamParts {
  /** Exchange notices about rate limits with other agents. */
  readonly notices?: RateLimitNotices | undefined
  /** Read the bodies of blobs; without them undici does. */
  readonly lanes?: LanePool | undefined
}

export function createUpstreams(options: UpstreamOptions, parts: UpstreamParts = {}): Upstreams {
  return new RegistryUpstreams(options, parts)
}

class RegistryUpstreams implements Upstreams {
  readonly #options: UpstreamOptions
  readonly #parts: UpstreamParts
  readonly #backoffMs: number
  readonly #stopping = new AbortController()
  readonly #transports = new Map<string, Transport>()
  readonly #privateRepositories = new PrivateRepositories()
  readonly #configured = new Map<string, Registered>()
  readonly #unlisted = new BoundedMap<string, Registered>(MOST_UNLISTED)

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    this.#options = options
    this.#parts = parts
    this.#backoffMs = options.backoffMs ?? DEFAULT_BACKOFF_MS
    for (const entry of options.entries ?? []) {
      const { namespace } = entry
      this.#configured.set(canonicalNamespace(namespace), this.#make(describeUpstream(options, namespace)))
    }
  }

  sources({ repository }: Want): readonly Source[] {
    return this.#hosts(repository)
  }

  hosts(repository: Repository): readonly string[] {
    return this.#hosts(repository).map(({ name }) => name)
  }

  async tag(repository: Repository, tag: string, { signal }: { signal: AbortSignal }): Promise<TagHead> {
    return this.#ask(repository, (host, within) => requestTag(host, repository.name, tag, within), { signal })
  }

  async head(
    want: Want,
    { signal }: { signal: AbortSignal },
  ): Promise<{ size: number; mediaType: string | undefined }> {
    return this.#ask(want.repository, (host, within) => requestHead(host, want, within), { signal })
  }

  async tags(repository: Repository, { signal }: { signal: AbortSignal }): Promise<readonly string[]> {
    return this.#ask(repository, (host, within) => requestTags(host, repository.name, within), { signal })
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    return this.#ask(repository, (host, within) => requestReferrers(host, repository.name, subject, within), {
      signal,
    })
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#privateRepositories.isPrivate(this.#upstreamOf(repository), repository.name)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    const { tagTtlMs, staleIfErrorMs } = this.#upstreamOf(repository)
    return { tagTtlMs, staleIfErrorMs }
  }

  status(): UpstreamStatus[] {
    return [...this.#configured.values(), ...this.#unlisted.values()].flatMap(({ upstream, hosts }) =>
      hosts.map((host) => ({ host: host.name, namespace: upstream.namespace, ...host.state })),
    )
  }

  readRateLimitNotices(host: string): void {
    for (const { hosts } of [...this.#configured.values(), ...this.#unlisted.values()]) {
      for (const each of hosts) if (each.name === host) each.readRateLimitNotices()
    }
  }

  async readFiles(): Promise<void> {
    const hosts = [...this.#configured.values()].flatMap((registered) => registered.hosts)
    await Promise.all([
      ...hosts.map((host) => host.readCredentialFiles()),
      ...[...this.#transports.values()].map((transport) => transport.open()),
    ])
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'the agent is stopping'))
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()))
  }

  #ask<Answer>(
    repository: Repository,
    ask: (host: UpstreamHost, options: { signal: AbortSignal }) => Promise<Answer>,
    { signal }: { signal: AbortSignal },
  ): Promise<Answer> {
    return askInRounds(this.#hosts(repository), ask, { signal, backoffMs: this.#backoffMs })
  }

  #upstreamOf({ registry }: Repository): Upstream {
    const namespace = canonicalNamespace(registry)
    return this.#configured.get(namespace)?.upstream ?? describeUpstream(this.#options, namespace)
  }

  #hosts(repository: Repository): readonly UpstreamHost[] {
    const namespace = canonicalNamespace(repository.registry)
    const configured = this.#configured.get(namespace)
    if (configured !== undefined) return configured.hosts
    let entry = this.#unlisted.get(namespace)
    if (entry === undefined) {
      if (parseHost(namespace) === undefined) return []
      entry = this.#make(describeUpstream(this.#options, namespace))
    }
    // `set` makes the registry the most recently used one, so that the bound removes the least recently used.
    this.#unlisted.set(namespace, entry)
    return entry.hosts
  }

  #make(upstream: Upstream): Registered {
    const deadlines = { ...DEFAULT_DEADLINES, ...this.#options.deadlines }
    const transport = this.#transport(upstream)
    const { notices } = this.#parts
    const backoffMs = this.#backoffMs
    const { lookup } = this.#options
    const { signal } = this.#stopping
    const hosts = upstream.hosts.map(
      (host) =>
        new UpstreamHost({ upstream, host, transport, lookup, deadlines, backoffMs, notices, signal }),
    )
    return { upstream, hosts }
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
