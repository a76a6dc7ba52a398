import * as v from 'valibot'
import { OWN_REGISTRY } from '../../oci/names/hosted-names.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Action, Wish } from '../../ports/access.ts'

const MOST_ENTRIES = 1000

/** The claim `access` of the distribution project. Its services write `null` for an empty list. */
export const AccessClaim = v.nullish(
  v.pipe(
    v.array(v.looseObject({ type: v.string(), name: v.string(), actions: v.nullish(v.array(v.string())) })),
    v.maxLength(MOST_ENTRIES),
  ),
)
export type AccessClaim = v.InferOutput<typeof AccessClaim>

/** Of a repository, a token knows no right to list its tags: whoever may pull it may list them. */
const TOKEN_ACTIONS: Readonly<Record<Action, string>> = {
  pull: 'pull',
  push: 'push',
  delete: 'delete',
  list: 'pull',
}
const CATALOG = { type: 'registry', name: 'catalog', action: '*' } as const

interface Scope {
  readonly type: string
  readonly name: string
  readonly action: string
}

/**
 * What a wish is called in a token. A hosted repository has the name that clients see in its path; any other has the name
 * of its registry before its own.
 */
function scopeOf({ action, repository }: Wish, isHosted: (repository: Repository) => boolean): Scope {
  if (repository === undefined) return CATALOG
  const isOwn = repository.registry === OWN_REGISTRY || isHosted(repository)
  const name = isOwn ? repository.name : repositoryKey(repository)
  return { type: 'repository', name, action: TOKEN_ACTIONS[action] }
}

/** What a token allows. A token without the claim allows nothing. */
export function tokenGrants(
  claim: AccessClaim,
  isHosted: (repository: Repository) => boolean,
): (wish: Wish) => boolean {
  const granted = new Map<string, Set<string>>()
  for (const { type, name, actions } of claim ?? []) {
    const key = `${type}:${name}`
    granted.set(key, new Set([...(granted.get(key) ?? []), ...(actions ?? [])]))
  }
  return (wish) => {
    const { type, name, action } = scopeOf(wish, isHosted)
    const actions = granted.get(`${type}:${name}`)
    return actions !== undefined && (actions.has(action) || actions.has('*'))
  }
}

/** The scopes of a challenge: `repository:team/app:pull,push registry:catalog:*`. */
export function scopeText(wishes: readonly Wish[], isHosted: (repository: Repository) => boolean): string {
  const actions = new Map<string, Set<string>>()
  for (const wish of wishes) {
    const { type, name, action } = scopeOf(wish, isHosted)
    const key = `${type}:${name}`
    actions.set(key, (actions.get(key) ?? new Set()).add(action))
  }
  return [...actions].map(([key, set]) => `${key}:${[...set].join(',')}`).join(' ')
}
