import type { Repository } from '../oci/names/repository.ts'
import type { Action, Wish } from '../ports/access.ts'
import type { ServedRoute } from './redirected-route.ts'

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
 * Gives the wishes of a request. `repository` is undefined when its path names none; `from` is the repository whose blob
 * the client wants to mount: who mounts it can read it afterwards.
 */
export function wishesOf(
  kind: ServedRoute['kind'],
  repository?: Repository,
  from?: Repository,
): readonly Wish[] {
  if (kind === 'base' || kind === 'health' || kind === 'refused') return NO_WISHES
  const wish: Wish = { action: ACTIONS[kind], repository }
  return from === undefined ? [wish] : [wish, { action: 'pull', repository: from }]
}
