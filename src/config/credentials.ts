import * as v from 'valibot'
import { parseRegistryHost } from '../oci/names/registry-host.ts'
import { UPSTREAM_DEFAULTS, type UpstreamSettings } from './upstreams/upstream.ts'
import { Secret } from './values/secret.ts'
import { SettingsError } from './values/settings-error.ts'

export const CREDENTIALS_VARIABLE = 'UPSTREAM_CREDENTIALS'

const Credentials = v.record(
  v.string(),
  v.strictObject({
    username: v.pipe(v.string(), v.minLength(1)),
    password: v.pipe(v.string(), v.minLength(1)),
  }),
)

/**
 * Adds the credentials of `UPSTREAM_CREDENTIALS` to the upstreams of the file; the variable overrides the file.
 * No error repeats the text, not even by `cause`, because the errors of JSON.parse quote it.
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
