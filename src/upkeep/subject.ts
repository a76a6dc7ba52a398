import { hasAny, resolveSubject } from '../observe/reports/subject.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { RequestError } from './request-error.ts'
import type { UpkeepStore } from './upkeep-store.ts'

export interface Tag {
  readonly repository: Repository
  readonly tag: string
}

/** A stored content, or a tag, that a person has named. */
export interface UpkeepSubject {
  /** The text that the person has written. */
  readonly subject: string
  readonly digest: Digest
  /** The tag in the text; undefined when the text has a digest. */
  readonly tag: Tag | undefined
  readonly isStored: boolean
}

/** Finds the digest that `text` names. Rejects with a `RequestError` for an unknown tag and for text that is no name. */
export async function findUpkeepSubject(
  store: UpkeepStore,
  subject: string,
  defaultNamespace: string,
): Promise<UpkeepSubject> {
  const view = {
    blobs: () => store.list(),
    isHosted: (repository: Repository) => hasAny(store.hosted.catalog.links(repository)),
  }
  const found = await resolveSubject(view, subject, defaultNamespace)
  if (!found.ok) throw new RequestError('malformed', found.problem)
  const { repository, tag, digest: written } = found.value
  const named = repository === undefined || tag === undefined ? undefined : { repository, tag }
  const digest = written ?? (named && (await digestOfTag(store, named)))
  if (digest === undefined) throw notStoredError(subject)
  const isStored = (await store.blobs.facts(digest)) !== undefined
  return { subject, digest, tag: written === undefined ? named : undefined, isStored }
}

async function digestOfTag(
  { hosted, catalog }: UpkeepStore,
  { repository, tag }: Tag,
): Promise<Digest | undefined> {
  const record = (await hosted.catalog.tag(repository, tag)) ?? (await catalog.tag(repository, tag))
  return record?.digest
}

export function notStoredError(subject: string): RequestError {
  return new RequestError(
    'unknown',
    `${subject} is not stored on this node; \`agent ls\` lists the stored images`,
  )
}
