import { parseRegistryUrl } from '../../oci/names/registry-url.ts'
import type { Document } from '../input/document.ts'
import { at, isTable, text } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'
import type { Kind } from './kind.ts'

/** A proxy that redirects a domain of one's own to a registry: its variables or `appsettings.json`. */
export const ociProxy: Kind = {
  name: 'oci-proxy',
  title: 'OciProxy',
  recognizes: (document) => valueIn(document, 'UpstreamRegistry') !== undefined,
  convert(document, draft) {
    const url = valueIn(document, 'UpstreamRegistry')
    if (url === undefined) draft.note('UpstreamRegistry is missing, so there is no registry to serve.')
    else convertRegistry(url, draft)
    draft.set('listen', listenIn(document))
  },
}

function valueIn({ json, processes }: Document, name: string): string | undefined {
  if (isTable(json)) return text(json[name])
  for (const { env } of processes) {
    const key = Object.keys(env).find((each) => each.toLowerCase() === name.toLowerCase())
    if (key !== undefined && env[key] !== '') return env[key]
  }
  return undefined
}

function convertRegistry(url: string, draft: Draft): void {
  // The proxy needs the final slash; without it, it would redirect to another path.
  const to = url.endsWith('/') ? url : `${url}/`
  const target = parseRegistryUrl(to)
  if (target === undefined) {
    draft.note('UpstreamRegistry is not an https URL with /v2/, so it is left out.')
    return
  }
  const { registry, prefix } = target
  draft.redirect({ host: '*', to })
  draft.allow([prefix === '' ? `${registry}/**` : `${registry}/${prefix}/**`])
  draft.note(
    'Every host of the port is redirected, as OciProxy does it; write your domain for the * to keep others out.',
  )
}

function listenIn(document: Document): string | undefined {
  const port = valueIn(document, 'PORT') ?? valueIn(document, 'ASPNETCORE_HTTP_PORTS')
  if (port !== undefined) return `0.0.0.0:${port.split(/[;,]/)[0]}`
  const urls =
    valueIn(document, 'ASPNETCORE_URLS') ??
    valueIn(document, 'Urls') ??
    text(at(document.json, 'Kestrel', 'Endpoints', 'Http', 'Url'))
  const [, host = '', given] = /^http:\/\/([^:/]+|\[[^\]]+\])(?::(\d+))?/.exec(urls ?? '') ?? []
  if (host === '') return undefined
  return `${/^[*+]$/.test(host) ? '0.0.0.0' : host}:${given ?? '80'}`
}
