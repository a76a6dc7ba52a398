import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { childrenOf, parseManifest } from '../../oci/manifest.ts'
import { fallbackTagIn, fallbackTagOf } from '../../oci/referrers.ts'
import type { Bucket } from '../client/bucket.ts'
import { dataKey } from '../layout/distribution.ts'
import type { HeldOptions } from './bucket-lock.ts'
import type { ContentLink, RepositoryTag } from './bucket-repository.ts'

export interface NeededOptions {
  readonly roots: Iterable<Digest>
  readonly manifests: readonly ContentLink[]
  /** Tags of referrers, which are needed as long as their subjects are. */
  readonly referrerTags: readonly Pick<RepositoryTag, 'tag' | 'digest'>[]
}

interface ManifestNeeds {
  readonly children: readonly Digest[]
  readonly subject: Digest | undefined
}

export interface Needed {
  /** What the roots reach, and the referrers of that, with what they reach. */
  readonly digests: ReadonlySet<Digest>
  /** The fallback tags of these digests that referrers name as their subjects. */
  readonly subjects: ReadonlySet<string>
  /** A needed manifest that cannot be read: nobody knows what it needs. */
  readonly lost: Digest | undefined
}

/** Finds what of one repository is needed, by reading each of its manifests. */
export async function neededBy(
  bucket: Bucket,
  { roots, manifests, referrerTags }: NeededOptions,
  options: HeldOptions,
): Promise<Needed> {
  const needs = new Map<Digest, ManifestNeeds | undefined>()
  for (const { digest } of manifests) {
    await options.hold()
    needs.set(digest, await readNeeds(bucket, digest, options))
  }
  const tagged = new Map<string, Digest[]>()
  for (const { tag, digest } of referrerTags) {
    const subject = fallbackTagIn(tag) ?? ''
    tagged.set(subject, [...(tagged.get(subject) ?? []), digest])
  }
  const referrers = new Map<Digest, Digest[]>()
  for (const [digest, found] of needs) {
    if (found?.subject !== undefined)
      referrers.set(found.subject, [...(referrers.get(found.subject) ?? []), digest])
  }
  const digests = new Set<Digest>()
  const subjects = new Set<string>()
  const rootDigests = new Set(roots)
  const toLook = [...rootDigests]
  let lost: Digest | undefined
  for (let next = toLook.pop(); next !== undefined; next = toLook.pop()) {
    if (digests.has(next)) continue
    digests.add(next)
    // An index names manifests of other platforms, which the bucket need not have.
    const isManifest = needs.has(next) || rootDigests.has(next)
    const found = needs.get(next)
    if (isManifest && found === undefined) lost ??= next
    toLook.push(...(found?.children ?? []), ...(referrers.get(next) ?? []))
    const fallbackTag = fallbackTagOf(next)
    if (tagged.has(fallbackTag)) subjects.add(fallbackTag)
    toLook.push(...(tagged.get(fallbackTag) ?? []))
  }
  return { digests, subjects, lost }
}

/** Undefined: the manifest is missing, or is not what its digest says. */
async function readNeeds(
  bucket: Bucket,
  digest: Digest,
  options: { readonly signal: AbortSignal },
): Promise<ManifestNeeds | undefined> {
  const object = await bucket.read(dataKey(digest), options)
  if (object === undefined) return undefined
  const bytes = Buffer.from(object.text)
  if (digestOf(bytes, algorithmOf(digest)) !== digest) return undefined
  const manifest = parseManifest(bytes)
  if (!manifest.ok) return undefined
  return {
    children: childrenOf(manifest.value).map((child) => child.digest),
    subject: manifest.value.subject?.digest,
  }
}
