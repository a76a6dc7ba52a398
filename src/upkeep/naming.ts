import { resolveSubject } from '../observe/reports/subject.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Kept } from './kept.ts'
import { Refusal } from './refusal.ts'

export interface Tag {
  readonly repository: Repository
  readonly tag: string
}

/** Something that a person has named. */
export interface Named {
  /** As it was written. */
  readonly subject: string
  readonly digest: Digest
  /** The tag that it was named by, if it was. */
  readonly tag: Tag | undefined
  readonly isHere: boolean
}

/** Whom is meant; refuses a tag that is not known here, and what is no name at all. */
export async function findNamed(kept: Kept, subject: string, defaultNamespace: string): Promise<Named> {
  const meant = await resolveSubject({ blobs: () => kept.list() }, subject, defaultNamespace)
  if (!meant.ok) throw new Refusal('malformed', meant.problem)
  const { repository, tag, digest: written } = meant.value
  const named = repository === undefined || tag === undefined ? undefined : { repository, tag }
  const digest = written ?? (named && (await kept.catalog.tag(named.repository, named.tag))?.digest)
  if (digest === undefined) throw notHere(subject)
  const isHere = (await kept.blobs.facts(digest)) !== undefined
  return { subject, digest, tag: written === undefined ? named : undefined, isHere }
}

export function notHere(subject: string): Refusal {
  return new Refusal('unknown', `${subject} is not kept here; agent ls lists what is`)
}
