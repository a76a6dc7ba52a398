import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { isTable, isYes, type Table, tables, text } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'
import { addEndpoints, type Endpoint, registryHost } from '../output/mirrors.ts'
import { type Kind, noteOthers } from './kind.ts'

const KEYS = ['prefix', 'location', 'insecure', 'blocked', 'mirror', 'mirror-by-digest-only']

/** podman, CRI-O, skopeo, buildah: `registries.conf`, in version 2. */
export const registriesConf: Kind = {
  name: 'registries-conf',
  title: 'registries.conf',
  format: 'toml',
  recognizes: ({ toml }) =>
    toml !== undefined &&
    (Array.isArray(toml['registry']) ||
      Array.isArray(toml['unqualified-search-registries']) ||
      isTable(toml['aliases']) ||
      isTable(toml['registries'])),
  convert({ toml = {} }, draft) {
    if (isTable(toml['registries'])) {
      draft.note(
        'The sections [registries.…] are of version 1 of the format, which has no mirrors; write [[registry]] instead.',
      )
    }
    for (const registry of tables(toml['registry'])) convertRegistry(registry, draft)
    noteOthers(draft, toml, ['registry', 'registries'], {
      reasons: {
        'unqualified-search-registries':
          'unqualified-search-registries stays in the settings of podman: it completes names before it asks Leat.',
        'short-name-mode': 'short-name-mode stays in the settings of podman.',
        aliases: 'aliases stay in the settings of podman: it completes names before it asks Leat.',
        'credential-helpers':
          'credential-helpers has no counterpart; name a config.json with credHelpers as dockerConfig.',
      },
    })
  },
}

function convertRegistry(registry: Table, draft: Draft): void {
  const location = text(registry['location'])
  const prefix = text(registry['prefix']) ?? location
  if (prefix === undefined) {
    draft.note('A [[registry]] has neither prefix nor location, so it is left out.')
    return
  }
  if (prefix.includes('/') || prefix.startsWith('*.')) {
    draft.note(
      `${prefix} is not a whole registry, as an upstream of Leat is, so its mirrors are left out; they stay in the settings of podman.`,
    )
    return
  }
  if (isYes(registry['blocked'])) {
    draft.note(
      `${prefix} is blocked, which has no counterpart; allow lists the repositories that may be pulled.`,
    )
    return
  }
  const mirrors = tables(registry['mirror']).map((mirror) => {
    if (text(mirror['pull-from-mirror']) !== undefined) {
      draft.note(
        `pull-from-mirror of ${text(mirror['location']) ?? prefix} has no counterpart: Leat asks its hosts for tags and digests.`,
      )
    }
    return endpointAt(text(mirror['location']), mirror, draft)
  })
  const own = endpointAt(location ?? prefix, registry, draft)
  noteOthers(draft, registry, KEYS, { path: `${prefix}: ` })
  const given = [...mirrors, own].filter((endpoint) => endpoint !== undefined)
  for (const { name, acceptInvalidCerts } of addEndpoints(draft, prefix, given)) {
    if (!acceptInvalidCerts) continue
    draft.note(
      `${name} is insecure: acceptInvalidCerts is set for it; if it has no TLS at all, write tls: false instead.`,
    )
  }
}

/** A location is `host[:port][/path]`. */
function endpointAt(location: string | undefined, table: Table, draft: Draft): Endpoint | undefined {
  if (location === undefined) {
    draft.note('A mirror has no location, so it is left out.')
    return undefined
  }
  const [host = '', ...path] = location.split('/')
  return {
    name: location,
    host: parseRegistryHost(host) === 'docker.io' ? registryHost('docker.io') : host,
    tls: true,
    acceptInvalidCerts: isYes(table['insecure']),
    caFile: undefined,
    prefix: path.length === 0 ? undefined : path.join('/'),
  }
}
