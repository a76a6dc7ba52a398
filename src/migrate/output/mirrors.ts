import { isLoopback } from '../../config/values/address.ts'
import { DOCKER_HUB, parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { Draft } from './draft.ts'
import type { UpstreamEntry } from './file-settings.ts'

/** A host from which a runtime pulls the images of a registry. */
export interface Endpoint {
  /** As the settings of the runtime name it. */
  readonly name: string
  readonly host: string
  readonly tls: boolean
  readonly acceptInvalidCerts: boolean
  readonly caFile: string | undefined
  /** The path that the host expects before the names of repositories. */
  readonly prefix: string | undefined
}

/** The host that serves the images of a registry. */
export function registryHost(namespace: string): string {
  return namespace === DOCKER_HUB ? 'registry-1.docker.io' : namespace
}

export function registryItself(namespace: string): Endpoint {
  const host = registryHost(namespace)
  return { name: host, host, tls: true, acceptInvalidCerts: false, caFile: undefined, prefix: undefined }
}

/** Parses `https://mirror.example.com/v2/path`. Undefined, with a sentence, for what Leat cannot ask. */
export function endpointOf(
  url: string,
  draft: Draft,
  more: { readonly acceptInvalidCerts?: boolean; readonly caFile?: string | undefined } = {},
): Endpoint | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    draft.note(`${withoutPassword(url)} is not a URL of a registry, so it is left out.`)
    return undefined
  }
  if (parsed.username !== '')
    draft.note(`The credentials in the URL of ${parsed.host} are not copied; add them to its entry.`)
  const path = parsed.pathname.replace(/\/+$/, '')
  const [, prefix] = /^(?:\/v2(?:\/(.+))?)?$/.exec(path) ?? []
  if (path !== '' && path !== '/v2' && prefix === undefined) {
    draft.note(
      `${withoutPassword(url)} has a path before /v2/, which Leat cannot ask for, so it is left out.`,
    )
    return undefined
  }
  return {
    name: withoutPassword(url),
    host: parsed.host,
    tls: parsed.protocol === 'https:',
    acceptInvalidCerts: more.acceptInvalidCerts ?? false,
    caFile: more.caFile,
    prefix,
  }
}

/**
 * Adds the endpoints of a registry, in their order. An upstream has one set of TLS settings and one prefix for all of its
 * hosts; those of the first endpoint count, and endpoints with others are left out, each with a sentence. Returns those that
 * are taken.
 */
export function addEndpoints(
  draft: Draft,
  registry: string,
  endpoints: readonly Endpoint[],
): readonly Endpoint[] {
  const namespace = parseRegistryHost(registry)
  if (namespace === undefined) {
    draft.note(`${registry} is not the name of a registry, so its mirrors are left out.`)
    return []
  }
  const remote = endpoints.filter(({ host, name }) => {
    const isLocal = isLoopback(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
    if (isLocal) {
      draft.note(`The mirror ${name} is on this machine, so it is left out: Leat takes its place.`)
    }
    return !isLocal
  })
  const [first] = remote
  if (first === undefined) return []
  const alike = remote.filter((endpoint) => {
    if (isAlike(endpoint, first)) return true
    const isItself = endpoint.host === registryHost(namespace)
    draft.note(
      isItself
        ? `Leat asks only the mirrors of ${namespace}, because ${namespace} itself needs other TLS settings or another path; the runtime still asks it when they do not answer.`
        : `${endpoint.name} is left out, because all hosts of ${namespace} have the TLS settings and the path of ${first.name}.`,
    )
    return false
  })
  const hosts = [...new Set(alike.map(({ host }) => host))]
  const isDefault = hosts.length === 1 && hosts[0] === registryHost(namespace)
  const entry: UpstreamEntry = {
    namespace,
    host: isDefault ? undefined : hosts,
    tls: first.tls ? undefined : false,
    acceptInvalidCerts: first.acceptInvalidCerts ? true : undefined,
    caFile: first.caFile,
    prefix: first.prefix,
  }
  draft.upstream(entry)
  return alike
}

function isAlike(one: Endpoint, other: Endpoint): boolean {
  return (
    one.tls === other.tls &&
    one.acceptInvalidCerts === other.acceptInvalidCerts &&
    one.caFile === other.caFile &&
    one.prefix === other.prefix
  )
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//')
}
