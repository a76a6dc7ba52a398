import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { ImageJob } from './image-job.ts'

/** For registries without a referrers API, cosign uses tags such as `sha256-<hex>.sig`. */
const COSIGN_SUFFIXES = ['sig', 'att', 'sbom']
/** A registry may let others than the publisher add referrers, so the number for one image is limited. */
const MAX_REFERRERS = 200

interface Referrer {
  readonly digest: Digest
  readonly size: number
}

/** Lists the manifests that refer to the subject: signatures, attestations, SBOMs. */
export async function listReferrers(
  { target, loader, request, signal, patience }: ImageJob,
  subject: Digest,
): Promise<readonly Referrer[]> {
  const { repository } = request.reference
  const listed = loader.request(
    () => unlessAbsent(() => fetchReferrers(target.resolver, repository, subject, signal), []),
    { signal, patience },
  )
  const tagged = COSIGN_SUFFIXES.map(async (suffix): Promise<readonly Referrer[]> => {
    const tag = `${algorithmOf(subject)}-${hexOf(subject)}.${suffix}`
    return unlessAbsent(async () => {
      const { digest, bytes } = await loader.manifest(repository, { tag }, { signal, patience })
      return [{ digest, size: bytes.length }]
    }, [])
  })
  const found = new Map<Digest, Referrer>()
  for (const result of await Promise.allSettled([listed, ...tagged])) {
    if (result.status === 'rejected') throw result.reason
    for (const referrer of result.value) if (found.size < MAX_REFERRERS) found.set(referrer.digest, referrer)
  }
  return [...found.values()]
}

async function fetchReferrers(
  resolver: Resolver,
  repository: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<readonly Referrer[]> {
  const { index } = await resolver.referrers(repository, subject, { signal })
  const list = parseManifest(index, OCI_INDEX)
  if (!list.ok)
    throw new Failure('unavailable', `the list of referrers of ${subject} is invalid: ${list.problem}`)
  return list.value.manifests
}

async function unlessAbsent<Answer>(request: () => Promise<Answer>, fallback: Answer): Promise<Answer> {
  try {
    return await request()
  } catch (error) {
    if (error instanceof Failure && error.code === 'absent') return fallback
    throw error
  }
}
