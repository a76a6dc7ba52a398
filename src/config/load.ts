import { placeOf } from './buckets/bucket-fields.ts'
import { addCredentials, CREDENTIALS_VARIABLE } from './credentials.ts'
import {
  type FileEntries,
  givenValues,
  readSettingsFile,
  refuseUnknownKeys,
  refuseUnknownVariables,
  SETTING_NAMES,
  type SettingSources,
} from './given-settings.ts'
import { SETTINGS, type Setting, type SettingName, type Settings } from './schema.ts'
import { doCollide, formatAddress } from './values/address.ts'
import type { GivenEntry, GivenValue } from './values/format.ts'
import { readAll, SettingsError } from './values/settings-error.ts'

export type { SettingSources }

export const DEFAULT_FILE = '/etc/leat/config.yaml'

/**
 * Loads all settings: flags over environment over file over defaults. Throws a `SettingsError` that lists all mistakes; a file
 * that cannot be read, or is not YAML, is the only mistake that is told of it.
 */
export async function loadSettings(sources: SettingSources): Promise<Settings> {
  const file = await readSettingsFile(sources).catch((error: unknown) => {
    if (error instanceof SettingsError) return error
    throw error
  })
  const entries = file instanceof SettingsError ? undefined : file
  const settings = checkAll(sources, entries, [
    () => refuseUnknownVariables(sources.env),
    () => throwIfError(file),
    () => parseCredentials(sources),
  ])
  const credentials = sources.env[CREDENTIALS_VARIABLE]
  if (credentials === undefined || credentials === '') return Object.freeze(settings)
  return Object.freeze({ ...settings, upstreams: addCredentials(settings.upstreams, credentials) })
}

/** Checks the settings that a program gives. Throws a `SettingsError` that lists all mistakes. */
export function checkSettings(entries: FileEntries): Settings {
  return Object.freeze(checkAll({ flags: {}, env: {}, defaultFile: '' }, entries, []))
}

function checkAll(
  sources: SettingSources,
  entries: FileEntries | undefined,
  otherChecks: readonly (() => unknown)[],
): Settings {
  const values: Record<string, unknown> = {}
  readAll<unknown>([
    ...otherChecks,
    () => entries && refuseUnknownKeys(entries),
    ...SETTING_NAMES.map((name) => () => {
      values[name] = choose(name, sources, entries)
    }),
  ])
  const settings = values as unknown as Settings
  readAll([
    () => checkTls(settings),
    () => checkClientCertificates(settings),
    () => checkPasswords(settings),
    () => checkAddresses(settings),
    () => checkCopies(settings),
  ])
  return settings
}

function checkAddresses({ listen, admin, metricsListen, peerListen, peersSecretFile }: Settings): void {
  const servers = [
    ['listen', listen] as const,
    ['admin', admin] as const,
    ...(metricsListen === undefined ? [] : [['metricsListen', metricsListen] as const]),
    ...(peersSecretFile === undefined ? [] : [['peerListen', peerListen] as const]),
  ]
  for (const [index, [name, address]] of servers.entries()) {
    const same = servers.slice(0, index).find(([, one]) => doCollide(one, address))
    if (same === undefined) continue
    const [sameName, sameAddress] = same
    const [first, second] = [formatAddress(sameAddress), formatAddress(address)]
    const what = first === second ? `are both ${first}` : `collide: ${first} and ${second}`
    throw new SettingsError(`${sameName} and ${name} ${what}; give each a port of its own`)
  }
}

/** Tags that clients have pushed are not those of the registry from which copies are made. */
function checkCopies({ copies, objectStore }: Settings): void {
  if (objectStore?.hosted !== true) return
  const place = placeOf(objectStore)
  const same = copies.find(({ to }) => placeOf(to) === place)?.to
  if (same === undefined) return
  throw new SettingsError(
    `copies go to s3://${[same.bucket, same.prefix].filter(Boolean).join('/')}, which has the hosted repositories of objectStore (hosted: true) and would lose their tags; copy to another bucket or prefix`,
  )
}

function throwIfError(value: unknown): void {
  if (value instanceof SettingsError) throw value
}

function parseCredentials({ env }: SettingSources): void {
  const variable = env[CREDENTIALS_VARIABLE]
  if (variable !== undefined && variable !== '') addCredentials([], variable)
}

function checkTls({ tlsCert, tlsKey }: Settings): void {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new SettingsError('TLS needs both --tls-cert and --tls-key; one of them is missing')
  }
}

function checkClientCertificates({ auth, tlsCert }: Settings): void {
  if (auth?.clientCertificates !== undefined && tlsCert === undefined) {
    throw new SettingsError('auth.clientCertificates needs TLS; give --tls-cert and --tls-key')
  }
}

/** A client sends one login, and a password for the agent must not go to a registry. */
function checkPasswords({ auth, upstreams }: Settings): void {
  const authorized = upstreams.find(({ authorize }) => authorize !== undefined)
  if (auth?.htpasswd === undefined || authorized === undefined) return
  throw new SettingsError(
    `auth.htpasswd and authorize of ${authorized.namespace} both take passwords; let clients of the agent log in by auth.token or auth.clientCertificates`,
  )
}

/**
 * Loads one setting, for a command that needs no other. The file is read only when neither flag nor environment gives the
 * setting: it may contain passwords, and users of `agent status` need not be able to read it.
 */
export async function loadSetting<Name extends SettingName>(
  name: Name,
  sources: SettingSources,
): Promise<Settings[Name]> {
  const isGiven = givenValues(name, sources, undefined).length > 0
  const file = !isGiven && SETTINGS[name].inFile ? await knownEntries(sources) : undefined
  return choose(name, sources, file) as Settings[Name]
}

/** Says where the settings name a path, such as `/etc/leat/config.yaml:7: upstreams[0].passwordFile`. */
export async function whereNamed(path: string, sources: SettingSources): Promise<string | undefined> {
  const file = await knownEntries(sources)
  const given = SETTING_NAMES.flatMap((name) => givenValues(name, sources, file).toReversed())
  return locationsOf(path, given)[0]
}

function locationsOf(path: string, given: readonly GivenValue[]): readonly string[] {
  return given.flatMap(({ location, name, value }) => {
    if (value instanceof Map)
      return locationsOf(
        path,
        [...value.values()].map((entry: GivenEntry) => entry.given),
      )
    if (typeof value !== 'string') return locationsOf(path, value as readonly GivenValue[])
    if (value !== path) return []
    return [location === undefined || location === name ? name : `${location}: ${name}`]
  })
}

async function knownEntries(sources: SettingSources): Promise<FileEntries | undefined> {
  const entries = await readSettingsFile(sources)
  if (entries !== undefined) refuseUnknownKeys(entries)
  return entries
}

function choose(name: SettingName, sources: SettingSources, file: FileEntries | undefined): unknown {
  const setting: Setting<unknown> = SETTINGS[name]
  // Values that are overridden are checked, too: otherwise a mistake shows only when the overriding one is removed.
  const values = readAll(givenValues(name, sources, file).map((given) => () => setting.format.read(given)))
  const value = values.length === 0 ? setting.defaultValue : values.at(-1)
  return value !== null && typeof value === 'object' ? Object.freeze(value) : value
}
