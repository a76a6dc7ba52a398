import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { isTable, isYes, type Table, type Tree, tableAt, text, texts } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'
import { addEndpoints, type Endpoint, endpointOf, registryHost, registryItself } from '../output/mirrors.ts'
import type { Kind } from './kind.ts'

/** containerd 1.x, and containerd 2.x. */
const PLUGINS = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'cri']

/** containerd: the mirrors in `config.toml`, which newer versions have in `hosts.toml`. */
export const containerd: Kind = {
  name: 'containerd',
  title: "containerd's config.toml",
  format: 'toml',
  recognizes: ({ toml }) => isTable(toml?.['plugins']),
  convert({ toml }, draft) {
    const registries = PLUGINS.map((plugin) => tableAt(toml, 'plugins', plugin, 'registry'))
    if (registries.every((registry) => Object.keys(registry).length === 0)) {
      draft.note('The file has no mirrors and no credentials of registries.')
    }
    for (const registry of registries) convertRegistry(registry, draft)
  },
}

function convertRegistry(registry: Table, draft: Draft): void {
  const path = text(registry['config_path'])
  if (path !== undefined) {
    draft.note(`Give the hosts.toml files below ${path} to agent config import, too: they have the mirrors.`)
  }
  const configs = tableAt(registry, 'configs')
  const mirrors = tableAt(registry, 'mirrors')
  for (const [name, mirror] of Object.entries(mirrors)) {
    if (name === '*') {
      draft.note(
        'The mirrors of "*" stand for every registry, which has no counterpart: add an entry for each registry that they have.',
      )
      continue
    }
    const endpoints = texts(isTable(mirror) ? mirror['endpoint'] : undefined).map((url) => {
      const { ca_file, insecure_skip_verify } = tableAt(configs, hostOf(url), 'tls')
      return endpointOf(url, draft, {
        acceptInvalidCerts: isYes(insecure_skip_verify),
        caFile: text(ca_file),
      })
    })
    const known = endpoints.filter((endpoint): endpoint is Endpoint => endpoint !== undefined)
    // containerd asks the registry itself last.
    addEndpoints(draft, name, [...known, itself(name, configs)])
  }
  const isMirrored = (host: string): boolean =>
    Object.keys(mirrors).some((name) => parseRegistryHost(name) === parseRegistryHost(host))
  for (const [host, config] of Object.entries(configs)) {
    convertConfig(host, config, { isMirrored: isMirrored(host) }, draft)
  }
  for (const key of Object.keys(tableAt(registry, 'headers'))) {
    draft.note(
      `The header ${key} has no counterpart; userAgent of an upstream is the only header that can be set.`,
    )
  }
}

function itself(name: string, configs: Table): Endpoint {
  const endpoint = registryItself(parseRegistryHost(name) ?? name)
  const { ca_file, insecure_skip_verify } = tableAt(configs, endpoint.host, 'tls')
  return { ...endpoint, caFile: text(ca_file), acceptInvalidCerts: isYes(insecure_skip_verify) }
}

/** The settings of one host, which in Leat belong to a registry. */
function convertConfig(
  host: string,
  config: Tree,
  { isMirrored }: { isMirrored: boolean },
  draft: Draft,
): void {
  const { username, password, auth, identitytoken } = tableAt(config, 'auth')
  const { ca_file, cert_file, insecure_skip_verify } = tableAt(config, 'tls')
  if (cert_file !== undefined) draft.note(`${host}: client certificates have no counterpart in Leat.`)
  if (auth !== undefined || identitytoken !== undefined) {
    draft.note(
      `${host}: the credentials are encoded, and not copied; put them into a config.json of Docker, and name it as dockerConfig.`,
    )
  }
  const hasPassword = text(username) !== undefined && text(password) !== undefined
  // Credentials of an entry go to all of its hosts, so they must not get into the entry of another one.
  if (isMirrored) {
    if (hasPassword) {
      draft.note(
        `${host}: the credentials are not copied, because all hosts of an entry get the same; a config.json of Docker, named as dockerConfig, has those of each host.`,
      )
    }
    return
  }
  const namespace = parseRegistryHost(host)
  draft.upstream({
    namespace: host,
    host:
      namespace === undefined || registryHost(namespace) === host || namespace === host ? undefined : [host],
    caFile: text(ca_file),
    acceptInvalidCerts: isYes(insecure_skip_verify) ? true : undefined,
    ...(hasPassword ? { username: text(username), password: text(password) } : {}),
  })
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url
}
