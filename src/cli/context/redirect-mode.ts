import type { AgentOptions } from '../../agent.ts'
import type { SettingSources } from '../../config/load.ts'
import { registryUrl } from '../../config/redirects.ts'
import type { Settings } from '../../config/schema.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import { parseRegistryUrl } from '../../oci/names/registry-url.ts'

type Environment = SettingSources['env']
type Redirect = NonNullable<AgentOptions['redirects']>[number]

/** The variables of a proxy that redirects every host to one registry. Like that proxy, the agent ignores their case. */
const REGISTRY = 'UpstreamRegistry'
const PORT = 'PORT'

/** With `UpstreamRegistry`, `PORT` names the port, on every address of the machine; Leat's own settings win. */
export function withPortVariable(given: SettingSources): SettingSources {
  const { env, flags } = given
  const port = variable(env, PORT)
  if (variable(env, REGISTRY) === undefined || port === undefined) return given
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new SettingsError(`${PORT} is ${JSON.stringify(port)}; expected a port such as 8080`)
  if ((env['LEAT_LISTEN'] ?? '') !== '' || flags['listen'] !== undefined) return given
  return { ...given, env: { ...env, LEAT_LISTEN: `0.0.0.0:${port}` } }
}

/** The redirects of the settings, and that of `UpstreamRegistry`, which is for every host that no entry names. */
export function redirectOptions(
  { redirects, allow }: Pick<Settings, 'redirects' | 'allow'>,
  env: Environment,
): Pick<AgentOptions, 'redirects' | 'allow'> {
  const value = variable(env, REGISTRY)
  const given = allow === undefined ? {} : { allow }
  const entries = redirects.map((entry) => entryOf(entry, env))
  if (value === undefined) return entries.length === 0 ? given : { redirects: entries, ...given }
  const to = registryUrl.read({ location: undefined, name: REGISTRY, value })
  const all: Redirect[] = [...entries.filter(({ host }) => host !== '*'), { host: '*', to }]
  // That proxy gives nothing but what it redirects to, so without `allow` the agent does not either.
  return { redirects: all, allow: allow ?? all.map(patternOf) }
}

/** The variables of the environment say where the credentials of buckets are. */
function entryOf({ clients, ...entry }: Settings['redirects'][number], environment: Environment): Redirect {
  return {
    ...entry,
    clients: clients.map(({ to, ...networks }) => ({
      ...networks,
      to: { ...to, bucket: { ...to.bucket, environment } },
    })),
  }
}

/** The pattern of the repositories to which an entry leads. */
function patternOf({ to }: Redirect): string {
  const { registry, prefix } = parseRegistryUrl(to) ?? { registry: '', prefix: '' }
  return prefix === '' ? `${registry}/**` : `${registry}/${prefix}/**`
}

function variable(env: Environment, name: string): string | undefined {
  const found = Object.keys(env).find((each) => each.toLowerCase() === name.toLowerCase())
  return (found === undefined ? undefined : env[found]) || undefined
}
