import { text } from './format.ts'

const PATTERN = /^(?=.{1,255}$)[a-z0-9.*-]+(?::\d{1,5})?(?:\/[a-z0-9._*-]+)+$/

/** A pattern of repositories, as `oci/names/repository-filter.ts` understands it. */
export const repositoryPattern = text(
  (given) => (PATTERN.test(given) ? given : undefined),
  'registry/repository with * for one part and ** for any, such as docker.io/library/*',
)

const HOSTED = /^(?=.{1,255}$)[a-z0-9._*-]+(?::\d{1,5}(?=\/))?(?:\/[a-z0-9._*-]+)*$/

/** A pattern of hosted repositories, which names a registry only if it is not this agent. */
export const hostedPattern = text(
  (given) => (HOSTED.test(given) ? given : undefined),
  'a repository of this agent, or registry/repository, with * for one part and ** for any, such as team/**',
)
