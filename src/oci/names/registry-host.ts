export const DOCKER_HUB = 'docker.io'

const HUB_NAMES = new Set([DOCKER_HUB, 'index.docker.io', 'registry-1.docker.io'])

const LABELS = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/
const PORT_IN_PATH = /__(\d{1,5})$/

/**
 * Gives the one name of a registry: in lower case, with the port after a colon, and `docker.io` for each name of Docker
 * Hub. Undefined for a text that is not a host.
 */
export function parseRegistryHost(text: string): string | undefined {
  if (text.length > 253 + 6) return undefined
  const host = text.toLowerCase().replace(PORT_IN_PATH, ':$1')
  if (HUB_NAMES.has(host)) return DOCKER_HUB
  const colon = host.lastIndexOf(':')
  const hasPort = colon > host.lastIndexOf(']')
  const name = hasPort ? host.slice(0, colon) : host
  if (hasPort && !isPort(host.slice(colon + 1))) return undefined
  return LABELS.test(name) || IPV6.test(name) ? host : undefined
}

/** Whether the first part of a path means a host, by the rule of `docker pull`. */
export function looksLikeHost(part: string): boolean {
  return part.includes('.') || part.includes(':') || part === 'localhost' || PORT_IN_PATH.test(part)
}

/** Writes a registry as a part of a path. A repository name has no colon, so a port is written as in `host__5000`. */
export function registryInPath(registry: string): string {
  return registry.replace(/:(\d+)$/, '__$1')
}

/** Gives the full name of a repository: on Docker Hub a name of one part is under `library/`. */
export function nameOnRegistry(registry: string, name: string): string {
  return registry === DOCKER_HUB && !name.includes('/') ? `library/${name}` : name
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65536
}
