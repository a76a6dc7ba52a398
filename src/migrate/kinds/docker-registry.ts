import { DOCKER_HUB, parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { Document } from '../input/document.ts'
import { at, isTable, type Table, tableAt, text } from '../input/tree.ts'
import { addBucket } from '../output/buckets.ts'
import type { Draft } from '../output/draft.ts'
import { endpointOf, registryHost } from '../output/mirrors.ts'
import { type Kind, listenAddress, noteOthers } from './kind.ts'

const LOG_LEVELS: Readonly<Record<string, string>> = {
  error: 'error',
  warn: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'trace',
}
const SECTIONS = ['version', 'log', 'http', 'proxy', 'storage', 'health', 'validation', 'compatibility']
/** What has nothing to set in Leat. */
const WITHOUT_NOTE = [
  'addr',
  'net',
  'tls',
  'secret',
  'headers',
  'relativeurls',
  'host',
  'draintimeout',
  'http2',
  'debug',
]

/** The CNCF distribution registry (`registry:2`, `registry:3`) as a pull-through cache. */
export const dockerRegistry: Kind = {
  name: 'docker-registry',
  title: 'docker-registry',
  recognizes: (document) => {
    const config = configOf(document)
    return (
      at(config, 'proxy', 'remoteurl') !== undefined ||
      (text(config['version']) !== undefined && isTable(config['storage']))
    )
  },
  convert(document, draft) {
    const config = configOf(document)
    convertProxy(config, draft)
    convertHttp(tableAt(config, 'http'), draft)
    convertStorage(tableAt(config, 'storage'), namespaceOf(config), draft)
    draft.set('logLevel', LOG_LEVELS[text(at(config, 'log', 'level')) ?? text(config['loglevel']) ?? ''])
    noteOthers(draft, config, [...SECTIONS, 'loglevel'], {
      reasons: {
        auth: 'auth is written in another way in Leat, and until it is set whoever reaches listen can pull; see docs/access.md.',
        notifications:
          'notifications are webhooks in Leat: name each endpoint there, with format: distribution; see docs/events.md.',
        middleware: 'middleware has no counterpart in Leat.',
      },
    })
  },
}

/** The file, with the variables that override it: `REGISTRY_PROXY_REMOTEURL` is `proxy.remoteurl`. */
function configOf({ yaml, processes }: Document): Table {
  const isCompose = at(yaml, 'services') !== undefined
  const config: { [key: string]: unknown } = isTable(yaml) && !isCompose ? { ...yaml } : {}
  for (const { env } of processes) {
    for (const [name, value] of Object.entries(env)) {
      const [root, section = '', ...rest] = name.toLowerCase().split('_')
      if (root !== 'registry' || !/^(?:proxy|http|storage|log)$/.test(section) || rest.length === 0) continue
      config[section] = withValue(tableAt(config, section), rest, value)
    }
  }
  return config
}

function withValue(table: Table, [key = '', ...rest]: readonly string[], value: string): Table {
  return { ...table, [key]: rest.length === 0 ? value : withValue(tableAt(table, key), rest, value) }
}

function convertProxy(config: Table, draft: Draft): void {
  const proxy = tableAt(config, 'proxy')
  const url = text(proxy['remoteurl'])
  if (url === undefined) {
    draft.note(
      'There is no proxy section: name the repositories that clients push to in hosted; see docs/hosted.md.',
    )
    return
  }
  const endpoint = endpointOf(url, draft)
  const namespace = endpoint && parseRegistryHost(endpoint.host)
  if (endpoint === undefined || namespace === undefined) return
  if (namespace !== DOCKER_HUB) draft.set('defaultNamespace', namespace)
  draft.upstream({
    namespace,
    host:
      endpoint.host === registryHost(namespace) || endpoint.host === namespace ? undefined : [endpoint.host],
    tls: endpoint.tls ? undefined : false,
    prefix: endpoint.prefix,
    username: text(proxy['username']),
    password: text(proxy['password']),
  })
  noteOthers(draft, proxy, ['remoteurl', 'username', 'password'], {
    path: 'proxy.',
    reasons: {
      ttl: 'proxy.ttl is not needed: Leat deletes what was not used for longest when maxBytes is reached.',
      exec: 'proxy.exec has no counterpart; use dockerConfig with a credential helper.',
    },
  })
}

function convertHttp(http: Table, draft: Draft): void {
  draft.set('listen', listenAddress(text(http['addr'])))
  const tls = tableAt(http, 'tls')
  draft.set('tlsCert', text(tls['certificate']))
  draft.set('tlsKey', text(tls['key']))
  noteOthers(draft, tls, ['certificate', 'key'], { path: 'http.tls.' })
  if (text(at(http, 'debug', 'addr')) !== undefined) {
    draft.note('http.debug has another place: Leat has its metrics at the address of admin.')
  }
  noteOthers(draft, http, WITHOUT_NOTE, { path: 'http.' })
}

/** The registry whose mirror this is; undefined: none. */
function namespaceOf(config: Table): string | undefined {
  const url = text(at(config, 'proxy', 'remoteurl'))
  return url === undefined || !URL.canParse(url) ? undefined : parseRegistryHost(new URL(url).host)
}

function convertStorage(storage: Table, registry: string | undefined, draft: Draft): void {
  const folder = text(at(storage, 'filesystem', 'rootdirectory'))
  if (folder !== undefined) {
    draft.note(
      `The content in ${folder} has another layout: take it over with agent import --from docker-registry:${folder}.`,
    )
  }
  for (const driver of Object.keys(storage)) {
    const bucket = text(at(storage, driver, 'bucket'))
    if (/^s3(?:aws)?$/.test(driver) && bucket !== undefined) {
      convertBucket(bucket, tableAt(storage, driver), registry, draft)
    } else if (/^(?:s3|s3aws|gcs|azure|swift|oss|cos)$/.test(driver)) {
      draft.note(`Leat stores content in a folder, not with storage.${driver}; set data and maxBytes.`)
    }
  }
}

function convertBucket(bucket: string, s3: Table, registry: string | undefined, draft: Draft): void {
  if (registry === undefined) {
    draft.note(
      `The bucket ${bucket} can be read as it is: set objectStore, with the name under which its images are known as its registry; see docs/object-store.md.`,
    )
    return
  }
  const [folder, host, region] = ['rootdirectory', 'regionendpoint', 'region'].map((key) => text(s3[key]))
  addBucket(draft, { bucket, folder, host, region, registry })
}
