import type { AgentOptions } from '../../agent.ts'
import type { SettingSources } from '../../config/load.ts'

type Environment = SettingSources['env']

/** The variables of a registry in front of Docker, and the settings that they stand for. */
const VARIABLES = {
  REGISTRY_LISTEN_ADDR: { flag: 'listen', env: 'LEAT_LISTEN' },
  REGISTRY_CERT_PATH: { flag: 'tls-cert', env: 'LEAT_TLS_CERT' },
  REGISTRY_KEY_PATH: { flag: 'tls-key', env: 'LEAT_TLS_KEY' },
} as const

/** With `--docker`, settings may be given under the names that registries in front of Docker use; Leat's own names win. */
export function withRegistryVariables(given: SettingSources): SettingSources {
  const isDocker = given.flags['docker'] ?? given.env['LEAT_DOCKER']
  if (isDocker !== 'true') return given
  const env: Record<string, string | undefined> = { ...given.env }
  for (const [name, { flag, env: own }] of Object.entries(VARIABLES)) {
    const value = given.env[name] ?? ''
    if (value !== '' && (env[own] ?? '') === '' && given.flags[flag] === undefined) env[own] = withHost(value)
  }
  return { ...given, env }
}

/** The source that `--docker` means. */
export function dockerSource(environment: Environment): NonNullable<AgentOptions['sources']>[number] {
  const prefixes = (environment['REGISTRY_PREFIXES'] ?? '').split(/\s+/).filter(Boolean)
  return { from: { kind: 'docker', host: 'env', environment }, prefixes, isExclusive: true }
}

/** `:8080` means every address of the machine. */
function withHost(address: string): string {
  return address.startsWith(':') ? `0.0.0.0${address}` : address
}
