import type { ExpiryRule } from '../../object-store/options/store-options.ts'
import type { Format } from '../values/format.ts'
import { repositoryPattern } from '../values/repository-pattern.ts'
import { tagRules } from './tag-rules.ts'

/** The `expire` of an object store. */
export const expiryRules: Format<readonly ExpiryRule[]> = tagRules(
  { format: repositoryPattern, example: '["ghcr.io/acme/**"]' },
  {},
  ({ keepFor, ...rest }) => ({ ...rest, ...(keepFor === undefined ? {} : { keepForMs: keepFor }) }),
)
