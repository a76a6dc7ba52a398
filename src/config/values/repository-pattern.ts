import { matching } from './format.ts'

const PATTERN = /^[a-z0-9.*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)+$/

const MAX_LENGTH = 255

/** A pattern of repositories, as `oci/names/repository-filter.ts` understands it. */
export const repositoryPattern = matching(
  PATTERN,
  'registry/repository with * for one part and ** for any, such as docker.io/library/*',
  MAX_LENGTH,
)

const HOSTED = /^[a-z0-9._*-]+(?:(?::\d{1,5})?(?:\/[a-z0-9._*-]+)+)?$/

/** A pattern of hosted repositories, which names a registry only if it is not this agent. */
export const hostedPattern = matching(
  HOSTED,
  'a repository of this agent, or registry/repository, with * for one part and ** for any, such as team/**',
  MAX_LENGTH,
)
