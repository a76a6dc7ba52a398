import { basename, dirname, resolve } from 'node:path'
import { isTable, isYes, type Table, tableAt, text, texts } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'
import { addEndpoints, type Endpoint, endpointOf } from '../output/mirrors.ts'
import { type Kind, noteOthers } from './kind.ts'

const KEYS = ['capabilities', 'ca', 'skip_verify', 'override_path', 'dial_timeout']

/** containerd, nerdctl and newer Docker: `certs.d/<registry>/hosts.toml`. */
export const containerdHosts: Kind = {
  name: 'containerd-hosts',
  title: "containerd's hosts.toml",
  format: 'toml',
  recognizes: ({ toml }) =>
    toml !== undefined &&
    (isTable(toml['host']) || typeof toml['server'] === 'string') &&
    Object.keys(toml).every((key) => ['server', 'host', ...KEYS, 'client', 'header'].includes(key)),
  convert({ toml = {}, path }, draft) {
    const server = text(toml['server'])
    const registry = registryOf(path, server)
    if (registry === undefined) {
      draft.note(
        basename(dirname(resolve(path))) === '_default'
          ? 'The folder _default stands for every registry, which has no counterpart: add an entry for each registry that its mirrors have.'
          : `${path} is in no folder that names its registry; give it as certs.d/docker.io/hosts.toml.`,
      )
      return
    }
    const endpoints = Object.entries(tableAt(toml, 'host')).map(([url, host]) =>
      isTable(host) ? endpointIn(url, host, draft) : undefined,
    )
    const own = endpointIn(server ?? serverOf(registry), toml, draft)
    addEndpoints(
      draft,
      registry,
      [...endpoints, own].filter((endpoint) => endpoint !== undefined),
    )
  },
}

/** The folder is named by the registry; a port is written `host_5000_`. */
function registryOf(path: string, server: string | undefined): string | undefined {
  const folder = basename(dirname(resolve(path)))
  if (folder === '_default') return undefined
  const named = folder.replace(/_(\d+)_$/, ':$1')
  if (/[.:]|^localhost$/.test(named) && !/^\.+$/.test(named)) return named
  return server !== undefined && URL.canParse(server) ? new URL(server).host : undefined
}

function serverOf(registry: string): string {
  return `https://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`
}

function endpointIn(url: string, host: Table, draft: Draft): Endpoint | undefined {
  const withScheme = url.includes('://') ? url : `https://${url}`
  const capabilities = host['capabilities'] === undefined ? ['pull'] : texts(host['capabilities'])
  if (!capabilities.includes('pull')) {
    draft.note(`${url} is not for pulls, so it is left out.`)
    return undefined
  }
  const [ca, ...others] = texts(host['ca'])
  if (others.length > 0)
    draft.note(`caFile has one file: put the certificates of ${[ca, ...others].join(', ')} into it.`)
  const path = new URL(URL.canParse(withScheme) ? withScheme : 'https://x').pathname.replace(/\/+$/, '')
  const isPlain = path === '' || path.endsWith('/v2') || isYes(host['override_path'])
  noteOthers(draft, host, [...KEYS, 'server', 'host'], {
    path: `${url}: `,
    reasons: { client: `${url}: client certificates have no counterpart in Leat.` },
  })
  // Without override_path, containerd adds /v2 to the path.
  return endpointOf(isPlain ? withScheme : `${withScheme.replace(/\/+$/, '')}/v2`, draft, {
    acceptInvalidCerts: isYes(host['skip_verify']),
    caFile: ca,
  })
}
