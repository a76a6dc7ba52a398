import { parseJson } from '../../lib/json.ts'
import { looksLikeHost, parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { Document } from '../input/document.ts'
import { durationOf } from '../input/duration.ts'
import { type Process, readFlags } from '../input/process.ts'
import { at, isNo, isTable, isYes, type Table, type Tree, tableAt, tables, text } from '../input/tree.ts'
import { addBucket } from '../output/buckets.ts'
import type { Draft } from '../output/draft.ts'
import { registryHost } from '../output/mirrors.ts'
import { type Kind, listenAddress, noteOthers } from './kind.ts'

const SWITCHES = ['check-cache-digest']
const VARIABLES = [
  'UPSTREAM_CREDENTIALS',
  'UPSTREAM_CONFIG_FILE',
  'CHECK_CACHE_DIGEST',
  'S3_BUCKET',
  'S3_HOST',
]
const KEYS = [
  'namespace',
  'host',
  'tls',
  'accept_invalid_certs',
  'user_agent',
  'username',
  'password',
  'manifest_invalidation_time',
]

/** A pull-through cache for any registry: its upstream file, flags, variables, and the values of its chart. */
export const ociRegistry: Kind = {
  name: 'oci-registry',
  title: 'oci-registry',
  recognizes: (document) =>
    upstreamsIn(document).length > 0 ||
    at(chartOf(document), 'upstream') !== undefined ||
    credentialsIn(document.json) !== undefined ||
    document.processes.some(isProcess),
  convert(document, draft) {
    for (const entry of upstreamsIn(document)) convertUpstream(entry, draft)
    convertCredentials(credentialsIn(document.json), draft)
    convertChart(chartOf(document), draft)
    const isTree = document.yaml !== undefined || document.json !== undefined
    const process = document.processes.find(isProcess) ?? (isTree ? undefined : document.processes[0])
    if (process !== undefined) convertProcess(process, draft)
  },
}

function isProcess({ env, words, image }: Process): boolean {
  return (
    VARIABLES.some((name) => env[name] !== undefined) ||
    words.some((word) => /(?:^|\/)oci-registry(?::|@|$)/.test(word)) ||
    (image !== undefined && /(?:^|\/)oci-registry(?::|@|$)/.test(image))
  )
}

function upstreamsIn({ yaml, json }: Document): readonly Table[] {
  const list = Array.isArray(yaml) ? yaml : json
  return tables(list).filter((entry) => text(entry['namespace']) !== undefined)
}

/** `registry` of the chart's values. */
function chartOf({ yaml }: Document): Table {
  return tableAt(yaml, 'registry')
}

function credentialsIn(json: Tree): Table | undefined {
  if (!isTable(json)) return undefined
  const entries = Object.values(json)
  const areAll = entries.every((entry) => isTable(entry) && text(entry['username']) !== undefined)
  return entries.length > 0 && areAll ? json : undefined
}

function convertUpstream(entry: Table, draft: Draft): void {
  const namespace = text(entry['namespace']) ?? ''
  const host = text(entry['host'])
  const tagTtl = text(entry['manifest_invalidation_time'])
  draft.upstream({
    namespace,
    host: host === undefined || host === registryHost(namespace) ? undefined : [host],
    tls: isNo(entry['tls']) ? false : undefined,
    acceptInvalidCerts: isYes(entry['accept_invalid_certs']) ? true : undefined,
    userAgent: text(entry['user_agent']),
    username: text(entry['username']),
    password: text(entry['password']),
    tagTtl: tagTtl === undefined ? undefined : (durationOf(tagTtl) ?? tagTtl),
  })
  if (parseRegistryHost(namespace) !== undefined && !looksLikeHost(namespace)) {
    draft.note(
      `${namespace}: in a path, the name of a registry has a dot or a port; clients that write HOST/${namespace}/NAME need another name for it, those that write ns=${namespace} do not.`,
    )
  }
  noteOthers(draft, entry, KEYS, {
    path: `${namespace}: `,
    reasons: {
      blob_invalidation_time: `${namespace}: blob_invalidation_time is not needed: a digest never changes, and maxBytes limits what is stored.`,
    },
  })
}

function convertCredentials(credentials: Table | undefined, draft: Draft): void {
  for (const [namespace, entry] of Object.entries(credentials ?? {})) {
    draft.upstream({
      namespace,
      username: text(at(entry, 'username')),
      password: text(at(entry, 'password')),
    })
  }
}

function convertChart(chart: Table, draft: Draft): void {
  const upstream = tableAt(chart, 'upstream')
  for (const entry of tables(at(upstream, 'config', 'contents'))) convertUpstream(entry, draft)
  draft.set('defaultNamespace', text(upstream['default_namespace']))
  if (text(at(chart, 'storage', 'mode')) === 's3') {
    const s3 = tableAt(chart, 'storage', 's3')
    convertBucket({ bucket: text(s3['bucket']), host: text(s3['host']), region: text(s3['region']) }, draft)
  }
}

function convertProcess({ env, words }: Process, draft: Draft): void {
  const { flags } = readFlags(words, SWITCHES)
  const given = (flag: string): string | undefined =>
    flags[flag] || env[flag.toUpperCase().replaceAll('-', '_')] || undefined
  const listen = given('listen')
  const port = given('port')
  if (listen?.startsWith('unix:') === true) {
    draft.note(
      `Leat does not listen on a Unix socket (${listen}); choose an address for listen, and let socat listen on the socket.`,
    )
  } else draft.set('listen', listenAddress(listen) ?? (port === undefined ? undefined : `0.0.0.0:${port}`))
  draft.set('defaultNamespace', given('default-namespace'))
  if (given('check-cache-digest') !== undefined) {
    draft.note('check-cache-digest is not needed: Leat serves no byte whose digest it has not checked.')
  }
  const file = given('upstream-config-file')
  if (file !== undefined) draft.note(`Give ${file} to agent config import, too: it has the upstreams.`)
  const credentials = given('upstream-credentials')
  if (credentials !== undefined) {
    const names = Object.keys(credentialsIn(parseJson(credentials)) ?? {})
    const which = names.length === 0 ? '' : ` (${names.join(', ')})`
    draft.note(`Keep UPSTREAM_CREDENTIALS${which} in the environment of agent serve, which reads it, too.`)
  }
  const root = given('root')
  if (root !== undefined)
    draft.note(
      `The cache in ${root} has another layout: take it over with agent import --from oci-registry:${root}.`,
    )
  if (words.includes('s3') || env['S3_BUCKET'] !== undefined) {
    const s3 = (name: string): string | undefined =>
      flags[name] ?? flags[`s3-${name}`] ?? (env[`S3_${name.toUpperCase()}`] || undefined)
    convertBucket({ bucket: s3('bucket'), host: s3('host'), region: s3('region') }, draft)
  }
}

interface OwnBucket {
  readonly bucket: string | undefined
  readonly host: string | undefined
  readonly region: string | undefined
}

function convertBucket({ bucket, host, region }: OwnBucket, draft: Draft): void {
  if (bucket === undefined) draft.note('The bucket has no name: set objectStore; see docs/object-store.md.')
  else addBucket(draft, { bucket, host, region, layout: 'oci-registry' })
}
