import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { Fetching } from './fetching.ts'

/** Under tags like `sha256-<hex>.sig` cosign keeps what it has written for registries without an API for referrers. */
const COSIGN = ['sig', 'att', 'sbom']
/** Whoever refers to an image need not be its publisher: so many of one are enough. */
const MOST = 200

interface Referrer {
  readonly digest: Digest
  readonly size: number
}

/** Manifests that refer to this one: signatures, attestations, lists of parts. */
export async function listReferrers(
  resolver: Resolver,
  fetching: Fetching,
  repository: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<readonly Referrer[]> {
  const listed = fetching.ask(
    () => unlessAbsent(() => listedReferrers(resolver, repository, subject, signal), []),
    { signal },
  )
  const tagged = COSIGN.map(async (kind): Promise<readonly Referrer[]> => {
    const tag = `${algorithmOf(subject)}-${hexOf(subject)}.${kind}`
    return unlessAbsent(async () => {
      const { digest, bytes } = await fetching.manifest(repository, { tag }, { signal })
      return [{ digest, size: bytes.length }]
    }, [])
  })
  const found = new Map<Digest, Referrer>()
  for (const result of await Promise.allSettled([listed, ...tagged])) {
    if (result.status === 'rejected') throw result.reason
    for (const one of result.value) if (found.size < MOST) found.set(one.digest, one)
  }
  return [...found.values()]
}

async function listedReferrers(
  resolver: Resolver,
  repository: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<readonly Referrer[]> {
  const { index } = await resolver.referrers(repository, subject, { signal })
  const list = parseManifest(index, OCI_INDEX)
  if (!list.ok) throw new Failure('unavailable', `what refers to ${subject} cannot be read: ${list.problem}`)
  return list.value.manifests
}

async function unlessAbsent<Answer>(ask: () => Promise<Answer>, otherwise: Answer): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Failure && error.code === 'absent') return otherwise
    throw error
  }
}
