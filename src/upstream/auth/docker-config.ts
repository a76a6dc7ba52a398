import * as v from 'valibot'
import { FileProblem } from '../../lib/watched-file.ts'
import { type Credential, credentialOf } from './credential.ts'

const AuthEntry = v.object({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
})
const DockerConfigFile = v.object({
  auths: v.optional(v.record(v.string(), v.nullable(AuthEntry))),
  credHelpers: v.optional(v.record(v.string(), v.string())),
  credsStore: v.optional(v.string()),
})

/** Docker's `config.json`, or podman's `auth.json`, whose keys may name a repository. */
export type DockerConfig = v.InferOutput<typeof DockerConfigFile>

/** Where a credential comes from: the file itself, or a helper under this server name. */
export type CredentialOrigin =
  | { readonly credential: Credential }
  | { readonly helper: string; readonly server: string }
  | undefined

/** Docker's key for Docker Hub. */
const HUB_KEY = 'https://index.docker.io/v1/'
const HUB_HOSTS: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

export function parseDockerConfig(text: string, path: string): DockerConfig {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), DockerConfigFile), text)
  // The parser's message could quote the file, which contains passwords.
  if (!parsed.success)
    throw new FileProblem(path, `${path} is not a valid docker config; check its JSON and its auths`)
  return parsed.output
}

/** Gives the one form of a key: `https://Host/v1/` and `host` are the same key. */
function plainKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/\/v[12]$/, '')
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  return (HUB_HOSTS.has(host) ? 'docker.io' : host) + (slash < 0 ? '' : bare.slice(slash))
}

/** Lists the keys for a repository, the most specific one first. */
function keysOf(host: string, name: string): readonly string[] {
  const keys: string[] = []
  for (let rest = `${plainKey(host)}/${name}`; ; rest = rest.slice(0, rest.lastIndexOf('/'))) {
    keys.push(rest)
    if (!rest.includes('/')) return keys
  }
}

function lookUp<Value>(
  record: Record<string, Value> | undefined,
  keys: readonly string[],
): Value | undefined {
  if (record === undefined) return undefined
  const plain = new Map(Object.entries(record).map(([key, value]) => [plainKey(key), value]))
  for (const key of keys) {
    const value = plain.get(key)
    if (value !== undefined) return value
  }
  return undefined
}

function credentialIn(auth: v.InferOutput<typeof AuthEntry>): Credential | undefined {
  const decoded = Buffer.from(auth.auth ?? '', 'base64')
    .toString()
    .replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  const username = auth.username ?? (colon < 0 ? '' : decoded.slice(0, colon))
  const password = auth.password ?? (colon < 0 ? '' : decoded.slice(colon + 1))
  if (auth.identitytoken !== undefined && auth.identitytoken !== '') {
    return { kind: 'identity', username, token: auth.identitytoken }
  }
  return password === '' ? undefined : credentialOf(username, password)
}

/** Uses the helper for this host, else the file's own credential, else the store for all hosts. */
export function findInDockerConfig(config: DockerConfig, host: string, name: string): CredentialOrigin {
  const keys = keysOf(host, name)
  const plainHost = plainKey(host)
  const server = plainHost === 'docker.io' ? HUB_KEY : plainHost
  const helper = lookUp(config.credHelpers, [plainHost])
  if (helper !== undefined && helper !== '') return { helper, server }
  const auth = lookUp(config.auths, keys)
  const credential = auth === undefined || auth === null ? undefined : credentialIn(auth)
  if (credential !== undefined) return { credential }
  if (config.credsStore !== undefined && config.credsStore !== '')
    return { helper: config.credsStore, server }
  return undefined
}
