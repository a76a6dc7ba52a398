import { type Digest, parseDigest } from '../../../oci/digest.ts'
import { type Repository, repositoryFromKey, repositoryKey } from '../../../oci/names/repository.ts'
import { keysUnder, SEPARATOR } from '../../database/database.ts'

type Range = ReturnType<typeof keysUnder>

/** A link, by its repository. */
export function linkKey(repository: Repository, digest: Digest): string {
  return ['link', repositoryKey(repository), digest].join(SEPARATOR)
}

/** The same link, by its digest. */
export function linkedKey(digest: Digest, repository: Repository): string {
  return ['linked', digest, repositoryKey(repository)].join(SEPARATOR)
}

export function hostedTagKey(repository: Repository, tag: string): string {
  return ['hosted', repositoryKey(repository), tag].join(SEPARATOR)
}

/** When a tag was last pulled. */
export function pulledKey(repository: Repository, tag: string): string {
  return ['pulled', repositoryKey(repository), tag].join(SEPARATOR)
}

export function linksOf(repository: Repository): Range {
  return keysUnder('link', repositoryKey(repository))
}

export function hostedTagsOf(repository: Repository | undefined): Range {
  return repository === undefined ? keysUnder('hosted') : keysUnder('hosted', repositoryKey(repository))
}

/** The part of a key after its last separator. */
export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf(SEPARATOR) + 1)
}

/** The repository in a link's or a tag's key. */
export function repositoryIn(key: string): Repository | undefined {
  return repositoryFromKey(key.split(SEPARATOR)[1] ?? '')
}

export function digestIn(key: string): Digest | undefined {
  return parseDigest(lastPart(key))
}
