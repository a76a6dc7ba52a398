import type { Repository } from './repository.ts'

/**
 * The repository of the check image. No registry has this name, so only a runtime that asks the agent can pull it; `.local`
 * is a name that the DNS has for nobody (RFC 6762, section 3).
 */
export const CHECK_REPOSITORY: Repository = { registry: 'leat.local', name: 'doctor' }

export function isCheckRepository({ registry, name }: Repository): boolean {
  return registry === CHECK_REPOSITORY.registry && name === CHECK_REPOSITORY.name
}
