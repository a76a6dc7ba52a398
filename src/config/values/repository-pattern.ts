import { text } from './format.ts'

const PATTERN = /^(?=.{1,255}$)[a-z0-9.*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)+$/

/** A pattern of repositories, as `oci/names/repository-filter.ts` understands it. */
export const repositoryPattern = text(
  (given) => (PATTERN.test(given) ? given : undefined),
  'registry/repository with * for one part and ** for any, such as docker.io/library/*',
)
