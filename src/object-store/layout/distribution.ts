import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { parseRegistryHost, registryInPath } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Want } from '../../ports/source.ts'
import type { ContentKeys, Layout } from './layout.ts'

export const DISTRIBUTION_ROOT = 'docker/registry/v2'

/** The layout of the CNCF distribution registry (registry 2 and 3). */
export class DistributionLayout implements Layout {
  /** The registry of all repositories in the bucket; undefined: the first part of each name. */
  readonly registry: string | undefined

  constructor({ registry }: { readonly registry: string | undefined }) {
    this.registry = registry
  }

  contentKeys(want: Want): ContentKeys | undefined {
    const folder = this.repositoryFolder(want.repository)
    if (folder === undefined) return undefined
    return { data: dataKey(want.digest), link: linkKey(folder, want), isWrapped: false }
  }

  /** The repository at a path below `repositories`; undefined when the path is none of this agent's names. */
  repositoryAt(path: string): Repository | undefined {
    if (this.registry !== undefined) return { registry: this.registry, name: path }
    const slash = path.indexOf('/')
    const registry = slash === -1 ? undefined : parseRegistryHost(path.slice(0, slash))
    return registry === undefined ? undefined : { registry, name: path.slice(slash + 1) }
  }

  tagKey(repository: Repository, tag: string): string | undefined {
    const folder = this.tagsFolder(repository)
    return folder === undefined ? undefined : `${folder}${tag}/current/link`
  }

  /** The object by which the registry finds all manifests that a tag has referred to. */
  tagIndexKey(repository: Repository, tag: string, digest: Digest): string | undefined {
    const folder = this.tagsFolder(repository)
    return folder === undefined ? undefined : `${folder}${tag}/index/${pathOf(digest)}/link`
  }

  parseTag(text: string): Digest | undefined {
    return parseDigest(text.trim())
  }

  tagsFolder(repository: Repository): string | undefined {
    const folder = this.repositoryFolder(repository)
    return folder === undefined ? undefined : `${folder}_manifests/tags/`
  }

  /** The folder, with a slash at its end, of the objects that name the referrers of a subject. The registry knows no such folder. */
  referrersFolder(repository: Repository, subject: Digest): string | undefined {
    const folder = this.repositoryFolder(repository)
    return folder === undefined ? undefined : `${folder}_referrers/${pathOf(subject)}/`
  }

  /** The object that names a manifest as a referrer of its subject. */
  referrerKey(repository: Repository, subject: Digest, digest: Digest): string | undefined {
    const folder = this.referrersFolder(repository, subject)
    return folder === undefined ? undefined : `${folder}${pathOf(digest)}/link`
  }

  /** The folder of a repository, with a slash at its end. */
  repositoryFolder({ registry, name }: Repository): string | undefined {
    if (this.registry !== undefined) {
      return registry === this.registry ? `${DISTRIBUTION_ROOT}/repositories/${name}/` : undefined
    }
    return `${DISTRIBUTION_ROOT}/repositories/${registryInPath(registry)}/${name}/`
  }
}

export function dataKey(digest: Digest): string {
  const hex = hexOf(digest)
  return `${DISTRIBUTION_ROOT}/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`
}

function linkKey(folder: string, { kind, digest }: Want): string {
  const place = kind === 'manifest' ? '_manifests/revisions' : '_layers'
  return `${folder}${place}/${pathOf(digest)}/link`
}

/** Reads the digest whose path begins a text, as in `sha256/…/link`. */
export function digestAt(path: string): Digest | undefined {
  const [algorithm = '', hex = ''] = path.split('/')
  return parseDigest(`${algorithm}:${hex}`)
}

/** The path of a digest in the keys of links. */
export function pathOf(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}
