import * as v from 'valibot'
import { parseRegistryHost } from '../oci/names/registry-host.ts'
import { Secret } from './values/secret.ts'
import { SettingsError } from './values/shape.ts'
import { UPSTREAM_DEFAULTS, type UpstreamSettings } from './values/upstream.ts'

export const CREDENTIALS_VARIABLE = 'UPSTREAM_CREDENTIALS'

const Credentials = v.record(
  v.string(),
  v.strictObject({
    username: v.pipe(v.string(), v.minLength(1)),
    password: v.pipe(v.string(), v.minLength(1)),
  }),
)

/**
 * Lays `UPSTREAM_CREDENTIALS` over the upstreams of the file, as the environment goes over the file everywhere.
 * Nothing of the text is repeated in an error, not even by way of `cause`: JSON.parse quotes what it could not read.
 */
export function addCredentials(
  upstreams: readonly UpstreamSettings[],
  variable: string,
): readonly UpstreamSettings[] {
  const byNamespace = new Map(upstreams.map((upstream) => [upstream.namespace, upstream]))
  const given = new Set<string>()
  for (const [name, { username, password }] of Object.entries(parse(variable))) {
    const namespace = parseRegistryHost(name)
    if (namespace === undefined || given.has(namespace)) return refuse()
    given.add(namespace)
    const known = byNamespace.get(namespace) ?? { ...UPSTREAM_DEFAULTS, namespace }
    const credentials = Object.freeze({ kind: 'password' as const, username, password: new Secret(password) })
    byNamespace.set(namespace, Object.freeze({ ...known, credentials }))
  }
  return Object.freeze([...byNamespace.values()])
}

function parse(variable: string): v.InferOutput<typeof Credentials> {
  let value: unknown
  try {
    value = JSON.parse(variable)
  } catch {
    return refuse()
  }
  const checked = v.safeParse(Credentials, value)
  return checked.success ? checked.output : refuse()
}

function refuse(): never {
  throw new SettingsError(
    `${CREDENTIALS_VARIABLE} must be JSON with one entry for each registry, such as {"docker.io": {"username": "…", "password": "…"}}`,
  )
}
