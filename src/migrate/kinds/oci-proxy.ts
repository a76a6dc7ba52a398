import { parseRegistryHost } from '../../oci/names/registry-host.ts'
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
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const registry = parsed && parseRegistryHost(parsed.host)
  const [, prefix] = /^\/v2(?:\/(.*?))?\/*$/.exec(parsed?.pathname ?? '') ?? []
  if (parsed?.protocol !== 'https:' || registry === undefined || !parsed.pathname.startsWith('/v2')) {
    draft.note('UpstreamRegistry is not an https URL with /v2/, so it is left out.')
    return
  }
  draft.set('defaultNamespace', registry)
  draft.allow([`${registry}/**`])
  if (prefix !== undefined && prefix !== '') draft.upstream({ namespace: registry, prefix })
  draft.note(
    `Leat sends the content of ${registry} itself, from its store, where OciProxy sends a redirect to it.`,
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
