import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { registryInPath } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'

const ROOT = 'docker/registry/v2'

/** Where a blob is in the layout of the registry of the distribution project, and of Leat's object store. */
export function blobKey(digest: Digest): string {
  const hex = hexOf(digest)
  return `${ROOT}/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`
}

/** What says that a repository has a blob. `registry`: the one whose name is not in the keys. */
export function linkKey(repository: Repository, digest: Digest, registry: string | undefined): string {
  const name =
    repository.registry === registry
      ? repository.name
      : `${registryInPath(repository.registry)}/${repository.name}`
  return `${ROOT}/repositories/${name}/_layers/${algorithmOf(digest)}/${hexOf(digest)}/link`
}
