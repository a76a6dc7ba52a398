import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { parseReference } from '../../oci/names/reference.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** Where digests are looked up that were not written in full. */
export interface Digests {
  blobs(): AsyncIterable<{ readonly digest: Digest }>
}

/** A tag in a repository, a digest in one, or a digest alone. */
export interface Subject {
  readonly repository: Repository | undefined
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

/** Whom is meant by what a person has typed: an image, a digest, or the start of one that is here. */
export async function findSubject(
  view: Digests,
  text: string,
  defaultNamespace: string,
): Promise<Parsed<Subject>> {
  const digest = parseDigest(text)
  if (digest !== undefined) return parsed({ repository: undefined, tag: undefined, digest })
  if (/^sha(?:256|512):/.test(text)) return findAbbreviated(view, text)
  const reference = parseReference(text, defaultNamespace)
  if (!reference.ok) return reference
  const { repository, tag, digest: pinned } = reference.value
  return parsed({ repository, tag: pinned === undefined ? tag : undefined, digest: pinned })
}

/** A digest by its first digits, as lists for people show it. */
async function findAbbreviated(view: Digests, start: string): Promise<Parsed<Subject>> {
  if (!/^sha\d+:[0-9a-f]{6,}$/.test(start)) {
    return refused(
      `"${start}" is not a digest: write sha256: and 64 hex digits, or at least the first 6 of them`,
    )
  }
  let found: Digest | undefined
  for await (const { digest } of view.blobs()) {
    if (!digest.startsWith(start)) continue
    if (found !== undefined) return refused(`several digests here begin with ${start}: write more of it`)
    found = digest
  }
  if (found === undefined) return refused(`nothing here begins with ${start}: write the whole digest`)
  return parsed({ repository: undefined, tag: undefined, digest: found })
}
