import { Failure } from '../ports/failure.ts'
import { basicHeader, type Credential } from './auth/credential.ts'
import { Credentials } from './auth/credentials.ts'
import { checkRealm } from './auth/realm.ts'
import { Tokens } from './auth/tokens.ts'
import { type Challenge, chooseChallenge } from './headers/challenge.ts'
import { failingUnlisted } from './http/http-failure.ts'
import type { HttpResponse } from './http/messages.ts'
import { parseQuota, type Quota } from './limits/quota.ts'
import {
  canonicalNamespace,
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  type Upstream,
  type UpstreamOptions,
} from './options/options.ts'
import { type Lookup, scopeLimitForTargets } from './options/scoped-lookup.ts'
import { Transport } from './transport/transport.ts'

const HUB = 'docker.io'
/** Docker Hub reports the remaining pulls for this repository; a HEAD request does not count as a pull. */
const PREVIEW = 'ratelimitpreview/test'

/**
 * How a registry answers the agent's credentials. `open`: it needs none; `anonymous`: it issues tokens without them;
 * `accepted` and `refused`: it accepts or refuses those of the settings; `wanted`: it needs some and the settings have
 * none; `unknown`: the examination failed.
 */
export type CredentialCheck = 'open' | 'anonymous' | 'accepted' | 'refused' | 'wanted' | 'unknown'

/** The result of the examination of one host. */
export interface HostExamination {
  readonly namespace: string
  readonly host: string
  /** The URL that was requested. */
  readonly url: string
  /** Whether the settings have an entry for the registry. */
  readonly isConfigured: boolean
  /** The status of the answer to `/v2/`; undefined without an answer. */
  readonly status: number | undefined
  /** How far the clock of the host is ahead of this node's. */
  readonly aheadMs: number | undefined
  readonly credentialCheck: CredentialCheck
  /** Why the host did not answer, or what is wrong with the credentials; it contains no secret. */
  readonly why: string | undefined
  readonly quota: Quota | undefined
}

/** Examines every host of every entry, and Docker Hub, without a request that counts as a pull. */
export async function examineUpstreams(
  options: UpstreamOptions,
  { signal }: { signal: AbortSignal },
): Promise<readonly HostExamination[]> {
  const entries = options.entries ?? []
  const isHubConfigured = entries.some(({ namespace }) => canonicalNamespace(namespace) === HUB)
  const configured = entries.map((entry) =>
    examineUpstream(describeUpstream(options, entry.namespace), options, { signal }),
  )
  const hub = isHubConfigured ? [] : [describeUpstream(options, HUB)]
  const unlisted = hub.map((upstream) => examineUpstream(upstream, options, { signal }))
  const all = [
    ...(await Promise.all(configured)).flat().map((host) => ({ ...host, isConfigured: true })),
    ...(await Promise.all(unlisted)).flat().map((host) => ({ ...host, isConfigured: false })),
  ]
  return all
}

type HostResult = Omit<HostExamination, 'isConfigured'>

async function examineUpstream(
  upstream: Upstream,
  options: UpstreamOptions,
  { signal }: { signal: AbortSignal },
): Promise<readonly HostResult[]> {
  const { caFile, acceptInvalidCerts } = upstream
  const { proxies, lookup } = options
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines }
  const transport = new Transport({
    caFile,
    acceptInvalidCerts,
    proxies,
    lookup,
    deadlines,
  })
  try {
    const examined = upstream.hosts.map(async (host): Promise<HostResult> => {
      const examination = new Examination({
        upstream,
        host,
        transport,
        lookup,
        tokenMs: deadlines.tokenMs,
        signal,
      })
      const result = await examination.run()
      return { namespace: upstream.namespace, host, url: examination.url.href, ...result }
    })
    return await Promise.all(examined)
  } finally {
    await transport.close()
  }
}

type Result = Omit<HostResult, 'namespace' | 'host' | 'url'>

/** The examination of one host. */
class Examination {
  readonly #upstream: Upstream
  readonly #base: URL
  readonly #transport: Transport
  readonly #lookup: Lookup | undefined
  readonly #credentials: Credentials
  readonly #tokens: Tokens
  readonly #signal: AbortSignal

  constructor(options: {
    upstream: Upstream
    host: string
    transport: Transport
    lookup: Lookup | undefined
    tokenMs: number
    signal: AbortSignal
  }) {
    const { upstream, host, transport, lookup, tokenMs, signal } = options
    this.#upstream = upstream
    this.#base = new URL(`${upstream.tls ? 'https' : 'http'}://${host}/`)
    this.#transport = transport
    this.#lookup = lookup
    this.#signal = signal
    this.#credentials = new Credentials(upstream, host, { signal })
    this.#tokens = new Tokens({
      send: transport.send,
      userAgent: upstream.userAgent,
      deadlineMs: tokenMs,
      backoffMs: DEFAULT_BACKOFF_MS,
      signal,
    })
  }

  get url(): URL {
    return new URL('/v2/', this.#base)
  }

  async run(): Promise<Result> {
    const nothing = { status: undefined, aheadMs: undefined, quota: undefined }
    let result: Result = { ...nothing, credentialCheck: 'unknown', why: undefined }
    try {
      const response = await this.#request('GET', '/v2/', undefined)
      const { status } = response
      result = { ...result, status, aheadMs: clockAheadMs(response), quota: parseQuota(response.headers) }
      // A file that cannot be read breaks every pull, whether `/v2/` needs credentials or not.
      const credential = await this.#credentials.find('', { signal: this.#signal })
      if (status === 200) result = { ...result, credentialCheck: 'open' }
      const challenge = chooseChallenge(response.headers.all('www-authenticate'))
      if (status !== 401) return result
      if (challenge === undefined) return { ...result, why: 'it asks for an unknown kind of credentials' }
      result = { ...result, ...(await this.#checkCredential(challenge, credential)) }
      const isAccepted = result.credentialCheck === 'anonymous' || result.credentialCheck === 'accepted'
      if (this.#upstream.namespace !== HUB || !isAccepted) return result
      return { ...result, quota: (await this.#hubQuota(challenge, credential)) ?? result.quota }
    } catch (error) {
      return { ...result, why: this.#reason(error) }
    }
  }

  async #request(
    method: 'GET' | 'HEAD',
    path: string,
    authorization: string | undefined,
  ): Promise<HttpResponse> {
    const common = { 'user-agent': this.#upstream.userAgent, accept: '*/*' }
    const response = await failingUnlisted(this.#transport.send)({
      method,
      url: new URL(path, this.#base),
      headers: authorization === undefined ? common : { ...common, authorization },
      kind: 'ping',
      scopeLimit: this.#upstream.scopeLimit,
      signal: this.#signal,
    })
    response.body.dispose()
    return response
  }

  async #checkCredential(
    challenge: Challenge,
    credential: Credential | undefined,
  ): Promise<Pick<Result, 'credentialCheck' | 'why'>> {
    const refused = credential === undefined ? 'wanted' : 'refused'
    const accepted = credential === undefined ? 'anonymous' : 'accepted'
    if (challenge.scheme === 'basic') {
      if (credential?.kind !== 'basic') return { credentialCheck: refused, why: undefined }
      const header = basicHeader(credential.username, credential.password)
      const { status } = await this.#request('GET', '/v2/', header)
      if (status === 200) return { credentialCheck: 'accepted', why: undefined }
      return status === 401 || status === 403
        ? { credentialCheck: 'refused', why: undefined }
        : { credentialCheck: 'unknown', why: `it answers ${status} to credentials` }
    }
    try {
      // Without a repository the token service checks only the credentials.
      const token = await this.#token(challenge, credential, [])
      if (credential === undefined) return { credentialCheck: accepted, why: undefined }
      const { status } = await this.#request('GET', '/v2/', `Bearer ${token}`)
      if (status !== 401) return { credentialCheck: accepted, why: undefined }
      return { credentialCheck: refused, why: 'its token service issues a token that it does not accept' }
    } catch (error) {
      if (error instanceof Failure && error.code === 'denied')
        return { credentialCheck: refused, why: error.message }
      throw error
    }
  }

  async #token(
    challenge: Challenge,
    credential: Credential | undefined,
    scopes: readonly string[],
  ): Promise<string> {
    const { allowPrivateTargets, realms, scopeLimit: own } = this.#upstream
    const { parameters } = challenge
    const scopeLimit = allowPrivateTargets
      ? own
      : await scopeLimitForTargets(this.#base.hostname, own, this.#lookup)
    const realm = await checkRealm(parameters.get('realm') ?? '', {
      registry: this.#base,
      scopeLimit,
      realms,
    })
    const within = realm.host === this.#base.host ? own : scopeLimit
    const request = { realm, scopeLimit: within, service: parameters.get('service'), scopes, credential }
    const { token } = await this.#tokens.get(request, { signal: this.#signal })
    return token
  }

  /** The quota of Docker Hub; undefined if the host, perhaps a mirror, does not report it. */
  async #hubQuota(challenge: Challenge, credential: Credential | undefined): Promise<Quota | undefined> {
    if (challenge.scheme !== 'bearer') return undefined
    const token = await this.#token(challenge, credential, [`repository:${PREVIEW}:pull`])
    const response = await this.#request('HEAD', `/v2/${PREVIEW}/manifests/latest`, `Bearer ${token}`)
    return parseQuota(response.headers)
  }

  #reason(error: unknown): string {
    if (this.#signal.aborted) return 'no answer in time'
    return error instanceof Failure ? error.message : 'it cannot be asked'
  }
}

function clockAheadMs({ headers }: HttpResponse): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(date) ? undefined : date - Date.now()
}
