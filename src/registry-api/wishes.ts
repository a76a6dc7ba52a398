import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { WantedContent } from '../ports/access/pull-rights.ts'
import type { Action, Wish } from '../ports/access.ts'
import type { ServedRoute } from './redirected-route.ts'

/** A blob that a client wants to mount, and the repository that has it. */
export interface MountedBlob {
  readonly from: Repository
  readonly digest: Digest
}

/** What a client wants to do with the repository in its path. A route without an entry does not compile. */
const ACTIONS: Readonly<Record<Exclude<ServedRoute['kind'], 'base' | 'health' | 'refused'>, Action>> = {
  catalog: 'list',
  page: 'list',
  manifest: 'pull',
  tagged: 'pull',
  blob: 'pull',
  tags: 'list',
  referrers: 'pull',
  'begin-upload': 'push',
  'upload-state': 'push',
  'append-upload': 'push',
  'finish-upload': 'push',
  'cancel-upload': 'push',
  'push-manifest': 'push',
  'push-tag': 'push',
  'delete-manifest': 'delete',
  'delete-tag': 'delete',
  'delete-blob': 'delete',
}

/** A request that reaches nothing asks only whether the client is known. */
const NO_WISHES: readonly Wish[] = []

/**
 * Gives the wishes of a request. `repository` is undefined when its path names none; `mounted` is the blob of another
 * repository that the client wants to mount: who mounts it can read it afterwards.
 */
export function wishesOf(
  route: ServedRoute,
  repository?: Repository,
  mounted?: MountedBlob,
): readonly Wish[] {
  if (route.kind === 'base' || route.kind === 'health' || route.kind === 'refused') return NO_WISHES
  const wish: Wish = { action: ACTIONS[route.kind], repository, content: contentOf(route) }
  if (mounted === undefined) return [wish]
  const { from, digest } = mounted
  return [wish, { action: 'pull', repository: from, content: { kind: 'blob', digest } }]
}

function contentOf(route: ServedRoute): WantedContent | undefined {
  switch (route.kind) {
    case 'tagged':
      return { kind: 'manifest', reference: route.tag }
    case 'manifest':
    case 'referrers':
      return { kind: 'manifest', reference: route.digest }
    case 'blob':
      return { kind: 'blob', digest: route.digest }
    case 'tags':
      return { kind: 'tags' }
    default:
      return undefined
  }
}
