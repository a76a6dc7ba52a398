import { isRepositoryName } from './names.ts'
import { parseRegistryHost } from './registry-host.ts'

/** A registry, or the part of one that begins with a path, by its URL. */
export interface RegistryUrl {
  /** Such as `https://us-docker.pkg.dev`, without a final slash. */
  readonly origin: string
  /** The registry as users name it. */
  readonly registry: string
  /** What all names there begin with, such as `project/repo`; empty for the whole registry. */
  readonly prefix: string
}

/** Reads an https URL such as `https://us-docker.pkg.dev/v2/project/repo/`. Undefined for any other text. */
export function parseRegistryUrl(text: string): RegistryUrl | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.protocol !== 'https:') return undefined
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined
  const registry = parseRegistryHost(url.host)
  const path = /^\/v2\/(?:(.+)\/)?$/.exec(url.pathname)
  if (registry === undefined || path === null) return undefined
  const [, prefix = ''] = path
  return prefix === '' || isRepositoryName(prefix) ? { origin: url.origin, registry, prefix } : undefined
}
