import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { childrenOf, parseManifest } from '../../oci/manifest.ts'
import type { Bucket } from '../client/bucket.ts'
import { dataKey } from '../layout/distribution.ts'
import type { ContentLink } from './bucket-repository.ts'

type Options = { readonly signal: AbortSignal }

interface ManifestNeeds {
  readonly children: readonly Digest[]
  readonly subject: Digest | undefined
}

export interface Needed {
  /** What the roots reach, and the referrers of that, with what they reach. */
  readonly digests: ReadonlySet<Digest>
  /** A needed manifest that cannot be read: nobody knows what it needs. */
  readonly lost: Digest | undefined
}

/** Finds what of one repository is needed, by reading each of its manifests. */
export async function neededBy(
  bucket: Bucket,
  { roots, manifests }: { readonly roots: Iterable<Digest>; readonly manifests: readonly ContentLink[] },
  options: Options,
): Promise<Needed> {
  const needs = new Map<Digest, ManifestNeeds | undefined>()
  for (const { digest } of manifests) needs.set(digest, await readNeeds(bucket, digest, options))
  const referrers = new Map<Digest, Digest[]>()
  for (const [digest, found] of needs) {
    if (found?.subject !== undefined)
      referrers.set(found.subject, [...(referrers.get(found.subject) ?? []), digest])
  }
  const digests = new Set<Digest>()
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
  }
  return { digests, lost }
}

/** Undefined: the manifest is missing, or is not what its digest says. */
async function readNeeds(
  bucket: Bucket,
  digest: Digest,
  options: Options,
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
