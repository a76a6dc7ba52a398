import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { PullRights } from '../ports/access/pull-rights.ts'
import { Failure } from '../ports/failure.ts'
import type { HeadRequestOptions, Registry, TagHead } from '../ports/registry.ts'
import type { Source, Want } from '../ports/source.ts'
import { credentialOf } from './auth/credential.ts'
import { PrivateRepositories } from './auth/private-repositories.ts'
import type { HostState } from './host.ts'
import { askInRounds } from './limits/rounds.ts'
import { costPerGiB, type UpstreamOptions } from './options/options.ts'
import { Registrations, type UpstreamParts } from './registrations.ts'
import { requestHead } from './requests/head.ts'
import { requestPullRight } from './requests/pull-right.ts'
import { requestReferrers } from './requests/referrers.ts'
import type { RegistryHost } from './requests/registry-request.ts'
import { requestTag } from './requests/tag.ts'
import { requestTags } from './requests/tags.ts'

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
  /** What the registries say that decide themselves who gets their cached content. */
  readonly pullRights: PullRights
  /** What a GiB from a registry costs; undefined without a price. */
  costPerGiB(registry: string): number | undefined
  /**
   * Makes the hosts of other options ready and reads their files. Rejects with a `FileProblem` if one cannot be used. The
   * function that it gives puts them in use for all requests that begin then, and cannot fail. A registry that the options
   * leave as it is keeps its hosts, with all that is known of them.
   */
  prepare(options: UpstreamOptions): Promise<() => void>
  /**
   * Looks at the files with credentials and certificates of the repository's registry, and gives their paths. What is wrong
   * with them is published.
   */
  checkFiles(repository: Repository): Promise<readonly string[]>
  /** Reads the files with credentials and certificates. Rejects with a `FileProblem` if one cannot be used. */
  readFiles(): Promise<void>
  close(): Promise<void>
}

export function createUpstreams(options: UpstreamOptions, parts: UpstreamParts = {}): Upstreams {
  return new RegistryUpstreams(options, parts)
}

class RegistryUpstreams implements Upstreams {
  readonly #registrations: Registrations
  readonly #privateRepositories = new PrivateRepositories()
  readonly pullRights: PullRights

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    this.#registrations = new Registrations(options, parts)
    this.pullRights = pullRightsOf(this.#registrations)
  }

  sources({ repository }: Want): readonly Source[] {
    return this.#registrations.hostsOf(repository)
  }

  hosts(repository: Repository): readonly string[] {
    return this.#registrations.hostsOf(repository).map(({ name }) => name)
  }

  async tag(repository: Repository, tag: string, { signal }: { signal: AbortSignal }): Promise<TagHead> {
    return this.#ask(repository, (host, within) => requestTag(host, repository.name, tag, within), { signal })
  }

  async head(
    want: Want,
    options: HeadRequestOptions,
  ): Promise<{ size: number; mediaType: string | undefined }> {
    return this.#ask(want.repository, (host, within) => requestHead(host, want, within), options)
  }

  async tags(repository: Repository, options: HeadRequestOptions): Promise<readonly string[]> {
    return this.#ask(repository, (host, within) => requestTags(host, repository.name, within), options)
  }

  async referrers(repository: Repository, subject: Digest, options: HeadRequestOptions): Promise<Uint8Array> {
    const { name } = repository
    return this.#ask(repository, (host, within) => requestReferrers(host, name, subject, within), options)
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#privateRepositories.isPrivate(this.#registrations.upstreamOf(repository), repository.name)
  }

  hasCredentials(repository: Repository): Promise<boolean> {
    const upstream = this.#registrations.upstreamOf(repository)
    return this.#privateRepositories.hasCredentials(upstream, repository.name)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    const { tagTtlMs, staleIfErrorMs } = this.#registrations.upstreamOf(repository)
    return { tagTtlMs, staleIfErrorMs }
  }

  status(): UpstreamStatus[] {
    return this.#registrations
      .all()
      .flatMap(({ upstream, hosts }) =>
        hosts.map((host) => ({ host: host.name, namespace: upstream.namespace, ...host.state })),
      )
  }

  costPerGiB(registry: string): number | undefined {
    return costPerGiB(this.#registrations.options, registry)
  }

  prepare(options: UpstreamOptions): Promise<() => void> {
    return this.#registrations.prepare(options)
  }

  readRateLimitNotices(host: string): void {
    for (const { hosts } of this.#registrations.all()) {
      for (const each of hosts) if (each.name === host) each.readRateLimitNotices()
    }
  }

  checkFiles(repository: Repository): Promise<readonly string[]> {
    return this.#registrations.checkFiles(repository)
  }

  readFiles(): Promise<void> {
    return this.#registrations.readFiles()
  }

  close(): Promise<void> {
    return this.#registrations.close()
  }

  #ask<Answer>(
    repository: Repository,
    ask: (host: RegistryHost, options: { signal: AbortSignal }) => Promise<Answer>,
    { signal, isAnonymous = false }: HeadRequestOptions,
  ): Promise<Answer> {
    const hosts = this.#registrations.hostsOf(repository)
    const asked = isAnonymous ? hosts.map((host) => host.withCredential(undefined)) : hosts
    return askInRounds(asked, ask, {
      signal,
      backoffMs: this.#registrations.backoffMs,
    })
  }
}

function pullRightsOf(registrations: Registrations): PullRights {
  return {
    get isUsed() {
      return registrations.options.entries?.some(({ authorize }) => authorize === 'upstream') ?? false
    },
    staleMsOf: (repository) => registrations.upstreamOf(repository).authorizeStaleMs,
    async confirm(repository, content, login, options) {
      // The settings allow one host: a mirror of the registry must not decide, nor get what is for the registry.
      const [host] = registrations.hostsOf(repository)
      if (host === undefined) throw new Failure('absent', 'no host is known for this registry')
      const credential = login && credentialOf(login.user, login.password)
      await requestPullRight(host.withCredential(credential), repository.name, content, options)
    },
  }
}
