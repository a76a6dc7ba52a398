import type { AgentOptions } from '../../agent.ts'
import { readProxies } from '../../config/proxies.ts'
import type { Settings } from '../../config/schema.ts'
import type { UpstreamCredentials, UpstreamSettings } from '../../config/upstreams/upstream.ts'
import type { SourceSettings } from '../../config/values/sources.ts'
import type { WebhookSettings } from '../../config/values/webhooks.ts'
import type { Terminal } from './command.ts'
import { dockerSource } from './docker-mode.ts'
import { redirectOptions } from './redirect-mode.ts'

type PeerOptions = NonNullable<AgentOptions['peers']>
type SourceOptions = NonNullable<AgentOptions['sources']>[number]
type WebhookOptions = NonNullable<AgentOptions['webhooks']>[number]
type UpstreamEntry = NonNullable<NonNullable<AgentOptions['upstreams']>['entries']>[number]

/** Turns the settings into the options of an agent. */
export function agentOptions(
  settings: Settings,
  { env, version }: Pick<Terminal, 'env' | 'version'>,
): AgentOptions {
  const { data, listen, admin, defaultNamespace, tlsCert, tlsKey, upstreams } = settings
  const proxies = readProxies(env)
  return {
    data,
    maxBytes: settings.maxBytes,
    minFree: settings.minFree,
    scrubRate: settings.scrubRate,
    ...(settings.lanes === undefined ? {} : { lanes: settings.lanes }),
    lazyRanges: settings.lazyRanges,
    listen,
    admin,
    defaultNamespace,
    sources: [
      ...settings.sources.map((source) => sourceOptions(source, env)),
      ...(settings.docker ? [dockerSource(env)] : []),
    ],
    warm: settings.warm,
    webhooks: settings.webhooks.map(webhookOptions),
    version,
    upstreams: {
      entries: upstreams.map(upstreamEntry),
      userAgent: `leat/${version}`,
      ...(proxies === undefined ? {} : { proxies }),
    },
    ...(settings.objectStore === undefined
      ? {}
      : { objectStore: { ...settings.objectStore, environment: env } }),
    copies: settings.copies.map(({ to, ...rest }) => ({ ...rest, to: { ...to, environment: env } })),
    ...(settings.nodeName === undefined ? {} : { nodeName: settings.nodeName }),
    ...redirectOptions(settings, env),
    ...adminOptions(settings),
    ...(settings.auth === undefined ? {} : { auth: settings.auth }),
    hosted: hostedOptions(settings),
    hostedDelete: settings.hostedDelete,
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tls: { certFile: tlsCert, keyFile: tlsKey } }),
    ...(settings.peersSecretFile === undefined
      ? {}
      : { peers: peerOptions(settings, settings.peersSecretFile) }),
  }
}

function hostedOptions({
  hosted,
  hostedGrace,
  hostedRetention,
}: Pick<Settings, 'hosted' | 'hostedGrace' | 'hostedRetention'>): NonNullable<AgentOptions['hosted']> {
  return { names: hosted, graceMs: hostedGrace, retention: hostedRetention }
}

/** `agent serve --admin-token-file` asks for the token that the same flag makes other commands send. */
function adminOptions({
  adminAuth,
  adminTls,
  adminTokenFile,
  metricsListen,
}: Settings): Pick<AgentOptions, 'adminAuth' | 'adminTls' | 'metricsListen'> {
  const auth = adminTokenFile === undefined ? adminAuth : { ...adminAuth, tokenFile: adminTokenFile }
  return {
    ...(auth === undefined ? {} : { adminAuth: auth }),
    ...(metricsListen === undefined ? {} : { metricsListen }),
    ...(adminTls === undefined ? {} : { adminTls: { certFile: adminTls.cert, keyFile: adminTls.key } }),
  }
}

function sourceOptions({ from, ...rest }: SourceSettings, environment: Terminal['env']): SourceOptions {
  return { ...rest, from: from.kind === 'docker' ? { ...from, environment } : from }
}

function webhookOptions({ url, format, ...given }: WebhookSettings): WebhookOptions {
  const { events, names, secretFile, headersFile, caFile } = given
  return {
    url,
    format,
    ...(events === undefined ? {} : { events }),
    ...(names === undefined ? {} : { names }),
    ...(secretFile === undefined ? {} : { secretFile }),
    ...(headersFile === undefined ? {} : { headersFile }),
    ...(caFile === undefined ? {} : { caFile }),
  }
}

function peerOptions(settings: Settings, secretFile: string): PeerOptions {
  const { peerListen, advertise, dht, bootstrap, publicDht, zone, maxUpload, maxDownload } = settings
  return {
    secretFile,
    listen: peerListen,
    dht,
    bootstrap,
    publicDht,
    ...(advertise === undefined ? {} : { advertise }),
    ...(zone === undefined ? {} : { zone }),
    ...(maxUpload === undefined ? {} : { maxUpload }),
    ...(maxDownload === undefined ? {} : { maxDownload }),
  }
}

function upstreamEntry(settings: UpstreamSettings): UpstreamEntry {
  const { caFile, credentials, prefix, userAgent, costPerGiB, ...rest } = settings
  return {
    ...rest,
    ...(caFile === undefined ? {} : { caFile }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(costPerGiB === undefined ? {} : { costPerGiB }),
    ...(userAgent === undefined ? {} : { userAgent }),
    ...(credentials === undefined ? {} : credentialOptions(credentials)),
  }
}

function credentialOptions(credentials: UpstreamCredentials): Partial<UpstreamEntry> {
  switch (credentials.kind) {
    case 'password':
      return { username: credentials.username, password: credentials.password.reveal() }
    case 'password-file':
      return { username: credentials.username, passwordFile: credentials.file }
    case 'docker-config':
      return { dockerConfig: credentials.file }
  }
}
