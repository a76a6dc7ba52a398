import { isRepositoryName } from './names.ts'
import { looksLikeHost, nameOnRegistry, parseRegistryHost } from './registry-host.ts'
import type { Repository } from './repository.ts'

/** Under which names the images of a source are served. */
export interface NameRules {
  /** The registry of every image; undefined: the one that its name begins with, or else `defaultRegistry`. */
  readonly registry: string | undefined
  readonly defaultRegistry: string
  /** Put before every name, with a slash. */
  readonly namePrefix: string | undefined
  /** Only images whose own names begin with one of these are served, with or without the registry; none: all. */
  readonly prefixes: readonly string[]
}

/** The repository of an image that its source calls `name`, such as `busybox` or `ghcr.io/acme/app`; undefined: not served. */
export function repositoryOf(name: string, rules: NameRules): Repository | undefined {
  const { prefixes, namePrefix, defaultRegistry } = rules
  const slash = name.indexOf('/')
  const hasHost = slash > 0 && looksLikeHost(name.slice(0, slash))
  const ownRegistry = hasHost ? parseRegistryHost(name.slice(0, slash)) : defaultRegistry
  if (ownRegistry === undefined) return undefined
  const path = hasHost ? name.slice(slash + 1) : name
  // People write prefixes as they write names: `acme/`, `docker.io/acme/`, `docker.io/library/`.
  const spellings = [path, `${ownRegistry}/${path}`, `${ownRegistry}/${nameOnRegistry(ownRegistry, path)}`]
  const isServed =
    prefixes.length === 0 || prefixes.some((prefix) => spellings.some((one) => one.startsWith(prefix)))
  if (!isServed) return undefined
  const registry = rules.registry ?? ownRegistry
  const prefixed = namePrefix === undefined ? path : `${namePrefix.replace(/\/+$/, '')}/${path}`
  const onRegistry = nameOnRegistry(registry, prefixed)
  return isRepositoryName(onRegistry) ? { registry, name: onRegistry } : undefined
}

/** Whether images of this repository would be served by these rules, if the source had them. */
export function covers({ registry }: NameRules, repository: Repository): boolean {
  return registry === undefined || registry === repository.registry
}

/** A name with its tag, as Docker and image layouts write it: `busybox:1.36`; without a tag it means `latest`. */
export function splitTag(reference: string): { readonly name: string; readonly tag: string } {
  const colon = reference.lastIndexOf(':')
  if (colon <= reference.lastIndexOf('/')) return { name: reference, tag: 'latest' }
  return { name: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}
