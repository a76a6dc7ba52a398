import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import { type Digest, parseDigest } from '../digest.ts'
import { isRepositoryName, isTag, MAX_NAME_LENGTH } from './names.ts'
import { DOCKER_HUB, looksLikeHost, nameOnRegistry, parseRegistryHost } from './registry-host.ts'
import { type Repository, repositoryKey } from './repository.ts'

/** An image as people write it. When a reference has a tag and a digest, the digest alone identifies the image. */
export interface Reference {
  readonly repository: Repository
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

/** Parses a reference such as `alpine` or `localhost:5000/a/b@sha256:…`. Without tag and digest it means the tag `latest`. */
export function parseReference(text: string, defaultRegistry: string = DOCKER_HUB): Parsed<Reference> {
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1))
  if (at >= 0 && digest === undefined) {
    return refused(
      `"${text}" has no valid digest after @: write sha256: and 64 hex digits, or sha512: and 128`,
    )
  }
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.lastIndexOf(':')
  const hasTag = colon > named.lastIndexOf('/')
  const tag = hasTag ? named.slice(colon + 1) : undefined
  if (tag !== undefined && !isTag(tag)) {
    return refused(
      `"${tag}" is not a tag: use up to 128 letters, digits, _, . and -, not starting with . or -`,
    )
  }
  const path = hasTag ? named.slice(0, colon) : named
  const repository = parseRepository(path, defaultRegistry)
  if (!repository.ok) return repository
  const meansLatest = tag === undefined && digest === undefined
  return parsed({ repository: repository.value, tag: meansLatest ? 'latest' : tag, digest })
}

/** Writes a reference, such as `ghcr.io/acme/app:v1`. */
export function referenceText({ repository, tag, digest }: Reference): string {
  const named = tag === undefined ? repositoryKey(repository) : `${repositoryKey(repository)}:${tag}`
  return digest === undefined ? named : `${named}@${digest}`
}

function parseRepository(path: string, defaultRegistry: string): Parsed<Repository> {
  const slash = path.indexOf('/')
  const hasHost = slash > 0 && looksLikeHost(path.slice(0, slash))
  const host = hasHost ? path.slice(0, slash) : defaultRegistry
  const registry = parseRegistryHost(host)
  if (registry === undefined) return refused(`"${host}" is not a registry: write host or host:port`)
  const name = nameOnRegistry(registry, hasHost ? path.slice(slash + 1) : path)
  if (!isRepositoryName(name)) {
    return refused(
      `"${path}" is not an image name: use lower-case letters and digits, separated by / . _ or -`,
    )
  }
  if (registry.length + 1 + name.length > MAX_NAME_LENGTH) {
    return refused(`"${path}" is too long: registry and name may have ${MAX_NAME_LENGTH} characters together`)
  }
  return parsed({ registry, name })
}
