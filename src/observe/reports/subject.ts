import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { OWN_REGISTRY } from '../../oci/names/hosted-names.ts'
import { parseReference } from '../../oci/names/reference.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** Where abbreviated digests and hosted repositories are looked up. */
export interface KnownSubjects {
  blobs(): AsyncIterable<{ readonly digest: Digest }>
  /** Clients push to this repository, or have pushed to it. */
  isHosted(repository: Repository): Promise<boolean>
}

/** A tag in a repository, a digest in one, or a digest alone. */
export interface Subject {
  readonly repository: Repository | undefined
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

/** Resolves what a person typed: an image reference, a digest, or the start of a stored digest. */
export async function resolveSubject(
  view: KnownSubjects,
  text: string,
  defaultNamespace: string,
): Promise<Parsed<Subject>> {
  const digest = parseDigest(text)
  if (digest !== undefined) return parsed({ repository: undefined, tag: undefined, digest })
  if (/^sha(?:256|512):/.test(text)) return resolveAbbreviated(view, text)
  // What is hosted here under a name without a registry comes before the default registry.
  const own = parseReference(text, OWN_REGISTRY)
  const isOwn = own.ok && (await view.isHosted(own.value.repository))
  const reference = isOwn ? own : parseReference(text, defaultNamespace)
  if (!reference.ok) return reference
  const { repository, tag, digest: referenced } = reference.value
  return parsed({ repository, tag: referenced === undefined ? tag : undefined, digest: referenced })
}

/** Tables for people show the first digits of a digest, and people paste those. */
async function resolveAbbreviated(
  view: Pick<KnownSubjects, 'blobs'>,
  start: string,
): Promise<Parsed<Subject>> {
  if (!/^sha\d+:[0-9a-f]{6,}$/.test(start)) {
    return refused(
      `"${start}" is not a digest: write sha256: and 64 hex digits, or at least the first 6 of them`,
    )
  }
  let found: Digest | undefined
  for await (const { digest } of view.blobs()) {
    if (!digest.startsWith(start)) continue
    if (found !== undefined) return refused(`several stored digests begin with ${start}: write more digits`)
    found = digest
  }
  if (found === undefined) return refused(`no stored digest begins with ${start}: write the whole digest`)
  return parsed({ repository: undefined, tag: undefined, digest: found })
}

export async function hasAny(items: AsyncIterable<unknown>): Promise<boolean> {
  for await (const _ of items) return true
  return false
}
