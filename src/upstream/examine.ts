import { Failure } from '../ports/failure.ts'
import { basicHeader, type Credential } from './auth/credential.ts'
import { Credentials } from './auth/credentials.ts'
import { checkRealm } from './auth/realm.ts'
import { Tokens } from './auth/tokens.ts'
import { type Challenge, chooseChallenge } from './headers/challenge.ts'
import type { Reply } from './http/exchange.ts'
import { sayingUnlisted } from './http/exchange-failure.ts'
import { Transport } from './http/transport.ts'
import { type Quota, readQuota } from './limits/quota.ts'
import {
  canonicalNamespace,
  DEFAULT_BACKOFF_MS,
  DEFAULT_DEADLINES,
  describeUpstream,
  type Upstream,
  type UpstreamOptions,
} from './options/options.ts'
import { type Lookup, scopeLimitForTargets } from './options/scoped-lookup.ts'

const HUB = 'docker.io'
/** Docker Hub tells there how many pulls are left; to ask with HEAD costs none. */
const PREVIEW = 'ratelimitpreview/test'

/**
 * How a registry takes us: `open` asks nobody who he is; `anonymous` and `accepted` were let in without and with
 * credentials; `refused` wants others than the ones it was given, `wanted` wants some; `unknown` could not be found out.
 */
export type Welcome = 'open' | 'anonymous' | 'accepted' | 'refused' | 'wanted' | 'unknown'

/** What one host of a registry has said to whoever asks with the agent's settings. */
export interface HostExamined {
  readonly namespace: string
  readonly host: string
  /** What was asked of it. */
  readonly url: string
  /** There is an entry for it. */
  readonly isConfigured: boolean
  /** Of its answer to `/v2/`; undefined when there was none. */
  readonly status: number | undefined
  /** How far its clock is ahead of ours. */
  readonly aheadMs: number | undefined
  readonly welcome: Welcome
  /** Why it did not answer, or what is wrong with the credentials. Holds none of them. */
  readonly why: string | undefined
  readonly quota: Quota | undefined
}

/** Asks every host of every entry, and Docker Hub. None of it is an image, and none of it is counted as a pull. */
export async function examineUpstreams(
  options: UpstreamOptions,
  { signal }: { signal: AbortSignal },
): Promise<readonly HostExamined[]> {
  const entries = options.entries ?? []
  const isHubConfigured = entries.some(({ namespace }) => canonicalNamespace(namespace) === HUB)
  const configured = entries.map((entry) =>
    examineUpstream(describeUpstream(options, entry.namespace), options, { signal }),
  )
  const hub = isHubConfigured ? [] : [describeUpstream(options, HUB)]
  const passing = hub.map((upstream) => examineUpstream(upstream, options, { signal }))
  const all = [
    ...(await Promise.all(configured)).flat().map((host) => ({ ...host, isConfigured: true })),
    ...(await Promise.all(passing)).flat().map((host) => ({ ...host, isConfigured: false })),
  ]
  return all
}

type Found = Omit<HostExamined, 'isConfigured'>

async function examineUpstream(
  upstream: Upstream,
  options: UpstreamOptions,
  { signal }: { signal: AbortSignal },
): Promise<readonly Found[]> {
  const { caFile, acceptInvalidCerts } = upstream
  const { proxies, lookup } = options
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines }
  const transport = new Transport({ caFile, acceptInvalidCerts, proxies, lookup, deadlines })
  try {
    const examined = upstream.hosts.map(async (host): Promise<Found> => {
      const visit = new Visit({ upstream, host, transport, lookup, tokenMs: deadlines.tokenMs, signal })
      const found = await visit.examine()
      return { namespace: upstream.namespace, host, url: visit.url.href, ...found }
    })
    return await Promise.all(examined)
  } finally {
    await transport.close()
  }
}

type Said = Omit<Found, 'namespace' | 'host' | 'url'>

/** A look at one host. */
class Visit {
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
      exchange: transport.small,
      userAgent: upstream.userAgent,
      deadlineMs: tokenMs,
      backoffMs: DEFAULT_BACKOFF_MS,
      signal,
    })
  }

  get url(): URL {
    return new URL('/v2/', this.#base)
  }

  async examine(): Promise<Said> {
    const nothing = { status: undefined, aheadMs: undefined, quota: undefined }
    let said: Said = { ...nothing, welcome: 'unknown', why: undefined }
    try {
      const reply = await this.#ask('GET', '/v2/', undefined)
      const { status } = reply
      said = { ...said, status, aheadMs: aheadOf(reply), quota: readQuota(reply.headers) }
      if (status === 200) said = { ...said, welcome: 'open' }
      const challenge = chooseChallenge(reply.headers.all('www-authenticate'))
      if (status !== 401) return said
      if (challenge === undefined) return { ...said, why: 'it asks for credentials in no way that is known' }
      const credential = await this.#credentials.find('', { signal: this.#signal })
      said = { ...said, ...(await this.#welcome(challenge, credential)) }
      const isLetIn = said.welcome === 'anonymous' || said.welcome === 'accepted'
      if (this.#upstream.namespace !== HUB || !isLetIn) return said
      return { ...said, quota: (await this.#preview(challenge, credential)) ?? said.quota }
    } catch (error) {
      return { ...said, why: this.#reason(error) }
    }
  }

  async #ask(method: 'GET' | 'HEAD', path: string, authorization: string | undefined): Promise<Reply> {
    const common = { 'user-agent': this.#upstream.userAgent, accept: '*/*' }
    const reply = await sayingUnlisted(this.#transport.small)({
      method,
      url: new URL(path, this.#base),
      headers: authorization === undefined ? common : { ...common, authorization },
      kind: 'ping',
      scopeLimit: this.#upstream.scopeLimit,
      signal: this.#signal,
    })
    reply.body.dispose()
    return reply
  }

  async #welcome(
    challenge: Challenge,
    credential: Credential | undefined,
  ): Promise<Pick<Said, 'welcome' | 'why'>> {
    const refused = credential === undefined ? 'wanted' : 'refused'
    const letIn = credential === undefined ? 'anonymous' : 'accepted'
    if (challenge.scheme === 'basic') {
      if (credential?.kind !== 'basic') return { welcome: refused, why: undefined }
      const header = basicHeader(credential.username, credential.password)
      const { status } = await this.#ask('GET', '/v2/', header)
      if (status === 200) return { welcome: 'accepted', why: undefined }
      return status === 401 || status === 403
        ? { welcome: 'refused', why: undefined }
        : { welcome: 'unknown', why: `it answers ${status} to credentials` }
    }
    try {
      // Without a repository: what may be done with one is not asked.
      await this.#token(challenge, credential, [])
      return { welcome: letIn, why: undefined }
    } catch (error) {
      if (error instanceof Failure && error.code === 'denied') return { welcome: refused, why: error.message }
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
    const realm = checkRealm(parameters.get('realm') ?? '', { registry: this.#base, scopeLimit, realms })
    const within = realm.host === this.#base.host ? own : scopeLimit
    const grant = { realm, scopeLimit: within, service: parameters.get('service'), scopes, credential }
    const { token } = await this.#tokens.get(grant, { signal: this.#signal })
    return token
  }

  /** Undefined when this host, a mirror of Docker Hub perhaps, does not tell. */
  async #preview(challenge: Challenge, credential: Credential | undefined): Promise<Quota | undefined> {
    if (challenge.scheme !== 'bearer') return undefined
    const token = await this.#token(challenge, credential, [`repository:${PREVIEW}:pull`])
    const reply = await this.#ask('HEAD', `/v2/${PREVIEW}/manifests/latest`, `Bearer ${token}`)
    return readQuota(reply.headers)
  }

  #reason(error: unknown): string {
    if (this.#signal.aborted) return 'no answer in time'
    return error instanceof Failure ? error.message : 'it cannot be asked'
  }
}

function aheadOf({ headers }: Reply): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(date) ? undefined : date - Date.now()
}
