import { publish } from '../observe/events.ts'
import { Failure } from '../ports/failure.ts'
import type { ConnectionsPerBlob, Intake, Source, VouchedIntake, Want } from '../ports/source.ts'
import type { Credential } from './auth/credential.ts'
import { Credentials } from './auth/credentials.ts'
import { Tokens } from './auth/tokens.ts'
import { AuthorizedSender, type AuthorizedSenderOptions } from './authorized-sender.ts'
import { failingUnlisted } from './http/http-failure.ts'
import type { HttpRequest, HttpResponse, SendRequest } from './http/messages.ts'
import { followRedirects } from './http/redirect.ts'
import { RedirectTargets } from './http/redirect-targets.ts'
import { Circuit, type CircuitState } from './limits/circuit.ts'
import type { Quota } from './limits/quota.ts'
import type { RateLimitNotices } from './limits/rate-limit-notices.ts'
import { RateLimits } from './limits/rate-limits.ts'
import type { UpstreamLimits } from './limits/upstream-limits.ts'
import type { AddressScope } from './options/address-scope.ts'
import { type Deadlines, repositoryNameAtHosts, type Upstream } from './options/options.ts'
import { type Lookup, scopeLimitForTargets } from './options/scoped-lookup.ts'
import { bringFromHost } from './requests/bring.ts'
import { bringRangeFromHost } from './requests/bring-range.ts'
import type { RegistryHost, RegistryRequest } from './requests/registry-request.ts'
import { Validators } from './requests/validators.ts'
import type { Transport } from './transport/transport.ts'

/** The address scope of a host is looked up again after this time. */
const SCOPE_TTL_MS = 60_000

export interface HostState {
  readonly circuit: CircuitState
  readonly lastError: { readonly message: string; readonly at: number } | undefined
  readonly quota: (Quota & { readonly at: number }) | undefined
}

/** One registry host. It adds credentials, follows redirects, and stops requests for a while after repeated failures. */
export class UpstreamHost implements Source {
  readonly kind = 'upstream'
  readonly name: string
  readonly #upstream: Upstream
  readonly #transport: Transport
  readonly #lookup: Lookup | undefined
  readonly #base: URL
  readonly #credentials: Credentials
  readonly #authorizedSender: AuthorizedSender
  /** Rate limits of requests with the credentials of others, by the hash of each, and of those without any. */
  readonly #limitsOfOthers: RateLimits
  #anonymousSender: AuthorizedSender | undefined
  readonly #circuit: Circuit
  readonly #validators = new Validators()
  readonly #redirectTargets = new RedirectTargets()
  #scopeLimit: { readonly value: Promise<AddressScope>; readonly until: number } | undefined
  readonly #limits: RateLimits
  readonly #upstreamLimits: UpstreamLimits
  readonly #newTokens: () => Tokens
  #lastError: HostState['lastError']

  constructor(options: {
    upstream: Upstream
    host: string
    limits: UpstreamLimits
    transport: Transport
    lookup: Lookup | undefined
    deadlines: Deadlines
    backoffMs: number
    notices: RateLimitNotices | undefined
    signal: AbortSignal
  }) {
    const { upstream, host, transport, lookup, notices, signal } = options
    this.name = host
    this.#upstream = upstream
    this.#upstreamLimits = options.limits
    this.#transport = transport
    this.#lookup = lookup
    this.#base = new URL(`${upstream.tls ? 'https' : 'http'}://${host}/`)
    this.#circuit = new Circuit({
      host,
      onChange: (open, reason) => publish('upstream.circuit', { host, open, reason }),
    })
    this.#limits = new RateLimits({ host, notices })
    this.#limitsOfOthers = new RateLimits({ host, notices: undefined })
    const { userAgent } = upstream
    const tokenOptions = {
      ...{ send: transport.send, userAgent, signal },
      ...{ deadlineMs: options.deadlines.tokenMs, backoffMs: options.backoffMs },
    }
    this.#newTokens = () => new Tokens(tokenOptions)
    this.#credentials = new Credentials(upstream, host, { signal })
    this.#authorizedSender = this.#senderWith({ credentials: this.#credentials, limits: this.#limits })
  }

  get state(): HostState {
    return { circuit: this.#circuit.state, lastError: this.#lastError, quota: this.#limits.quota }
  }

  get connectionsPerBlob(): ConnectionsPerBlob {
    return this.#upstreamLimits.connectionsPerBlob
  }

  async bring(want: Want, intake: VouchedIntake, { signal }: { signal: AbortSignal }): Promise<void> {
    const bring = (): Promise<void> => bringFromHost(this, this.#validators, want, intake, { signal })
    await this.#recordingErrors(signal, () => this.#transfer(want, signal, bring))
  }

  async bringRange(
    want: Want,
    range: { readonly end: number; readonly size: number },
    intake: Intake,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const bring = (): Promise<void> =>
      bringRangeFromHost(this, this.#validators, want, range, intake, { signal })
    await this.#recordingErrors(signal, () => this.#transfer(want, signal, bring))
  }

  /** Returns any response but 401 and 403, which are thrown as a `Failure`. */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    return this.#recordingErrors(request.signal, () => this.#send(request, this.#authorizedSender))
  }

  /**
   * This host for requests with the credential of somebody else, or without one. Only a hash of the credential is remembered,
   * for its rate limit, and refusing it is no failure of the host. A redirect to another origin is followed for a blob only:
   * what answers elsewhere does not know the credential.
   */
  withCredential(credential: Credential | undefined): RegistryHost {
    const sender = this.#senderOfOther(credential)
    return {
      name: this.name,
      send: (request) =>
        this.#send(request, sender, request.kind === 'blob' ? undefined : refuseToLeave(this.name)),
      urlOf: (name, path) => this.urlOf(name, path),
    }
  }

  /** Reads the files with the credentials. Rejects with a `FileProblem` if one cannot be used. */
  readCredentialFiles(): Promise<void> {
    return this.#credentials.readFiles()
  }

  /** Reads the rate-limit notices that other agents have sent about this host. */
  readRateLimitNotices(): void {
    this.#limits.readNotices()
  }

  /** The URL of a path within `/v2/<name>/`. */
  urlOf(name: string, path: string): URL {
    return new URL(`/v2/${this.#fullName(name)}/${path}`, this.#base)
  }

  #transfer({ kind }: Want, signal: AbortSignal, bring: () => Promise<void>): Promise<void> {
    return kind === 'blob' ? this.#upstreamLimits.transfer(this.name, signal, bring) : bring()
  }

  #senderOfOther(credential: Credential | undefined): AuthorizedSender {
    if (credential === undefined && this.#anonymousSender !== undefined) return this.#anonymousSender
    const credentials = { find: async () => credential, forgetHelperAnswers() {} }
    const sender = this.#senderWith({ credentials, limits: this.#limitsOfOthers })
    if (credential === undefined) this.#anonymousSender = sender
    return sender
  }

  #senderWith(own: Pick<AuthorizedSenderOptions, 'credentials' | 'limits'>): AuthorizedSender {
    const { userAgent, realms, scopeLimit } = this.#upstream
    return new AuthorizedSender({
      ...own,
      registry: this.#base,
      tokens: this.#newTokens(),
      send: this.#guarded(this.#transport.send),
      registryScopeLimit: scopeLimit,
      scopeLimit: () => this.#resolveScope(),
      realms,
      userAgent,
    })
  }

  #fullName(name: string): string {
    return repositoryNameAtHosts(this.#upstream, name)
  }

  async #send(
    { method, kind, path, accept, headers, name, signal, onPace }: RegistryRequest,
    sender: AuthorizedSender,
    outside?: SendRequest,
  ): Promise<HttpResponse> {
    const { userAgent, scopeLimit } = this.#upstream
    const request: HttpRequest = {
      method,
      kind,
      url: path instanceof URL ? path : this.urlOf(name, path),
      headers: {
        'user-agent': userAgent,
        accept: accept ?? '*/*',
        // Some servers would otherwise compress the content, whose digest is of the uncompressed bytes.
        'accept-encoding': 'identity',
        ...headers,
      },
      scopeLimit,
      signal,
      onPace,
    }
    const isBlob = kind === 'blob' && method === 'GET'
    const send = isBlob ? this.#transport.sendForBlob : this.#transport.send
    const registry = this.#guarded(send)
    const response = await followRedirects(request, {
      registry: (next) => sender.send(registry, next, this.#fullName(name)),
      outside: outside ?? send,
      scopeLimit: () => this.#resolveScope(),
      targets: this.#redirectTargets,
    })
    return isBlob ? this.#upstreamLimits.limited(response, signal) : response
  }

  /** Sends through the circuit. */
  #guarded(send: SendRequest): SendRequest {
    const checkedSend = this.#upstreamLimits.paced(this.name, failingUnlisted(send))
    return (request) =>
      this.#circuit.run(
        () => checkedSend(request),
        ({ status }) => (status >= 500 ? `it answered with status ${status}` : undefined),
      )
  }

  async #recordingErrors<Result>(signal: AbortSignal, attempt: () => Promise<Result>): Promise<Result> {
    try {
      return await attempt()
    } catch (error) {
      if (!signal.aborted && error instanceof Error) {
        this.#lastError = { message: error.message, at: Date.now() }
      }
      throw error
    }
  }

  /** How far inside the network the host is, and redirects and token realms may lead. */
  #resolveScope(): Promise<AddressScope> {
    const { allowPrivateTargets, scopeLimit } = this.#upstream
    if (allowPrivateTargets) return Promise.resolve(scopeLimit)
    if (this.#scopeLimit === undefined || this.#scopeLimit.until <= performance.now()) {
      const value = scopeLimitForTargets(this.#base.hostname, scopeLimit, this.#lookup)
      this.#scopeLimit = { value, until: performance.now() + SCOPE_TTL_MS }
    }
    return this.#scopeLimit.value
  }
}

function refuseToLeave(source: string): SendRequest {
  return async ({ url }) => {
    const message = `${source} redirects to ${url.host}, which cannot say who may pull`
    throw new Failure('unavailable', message, { source })
  }
}
