import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../lib/error-code.ts'
import { addCredentials, CREDENTIALS_VARIABLE } from './credentials.ts'
import { SERVICE_LINK, SETTINGS, type Setting, type SettingName, type Settings } from './schema.ts'
import { type GivenEntry, type GivenValue, refuseUnknown, SettingsError } from './values/format.ts'
import { readYaml } from './yaml-file.ts'

/** The sources of the settings. */
export interface SettingSources {
  /** The flags and their values, by the flag's name without dashes. */
  readonly flags: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** The file that is read when none is named; it need not exist. */
  readonly defaultFile: string
}

export const DEFAULT_FILE = '/etc/leat/config.yaml'
const MAX_FILE_BYTES = 1024 * 1024
const NAMES = Object.keys(SETTINGS) as SettingName[]

/** Loads all settings: flags over environment over file over defaults. Throws a `SettingsError` at the first mistake. */
export async function loadSettings(sources: SettingSources): Promise<Settings> {
  refuseUnknownVariables(sources.env)
  const file = await fileOf(sources)
  const values: Record<string, unknown> = {}
  for (const name of NAMES) values[name] = choose(SETTINGS[name], name, sources, file)
  const settings = values as unknown as Settings
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    throw new SettingsError('TLS needs both --tls-cert and --tls-key; one of them is missing')
  }
  if (settings.auth?.clientCertificates !== undefined && settings.tlsCert === undefined) {
    throw new SettingsError('auth.clientCertificates needs TLS; give --tls-cert and --tls-key')
  }
  const credentials = sources.env[CREDENTIALS_VARIABLE]
  if (credentials === undefined || credentials === '') return Object.freeze(settings)
  return Object.freeze({ ...settings, upstreams: addCredentials(settings.upstreams, credentials) })
}

/**
 * Loads one setting, for a command that needs no other. The file is read only when neither flag nor environment gives the
 * setting: it may contain passwords, and users of `agent status` need not be able to read it.
 */
export async function loadSetting<Name extends SettingName>(
  name: Name,
  sources: SettingSources,
): Promise<Settings[Name]> {
  const setting: Setting<unknown> = SETTINGS[name]
  const value = fromFlag(setting, sources) ?? fromEnv(setting, sources)
  const file = value === undefined && setting.inFile ? await fileOf(sources) : undefined
  return choose(setting, name, sources, file) as Settings[Name]
}

/** Says where the settings name a path, such as `/etc/leat/config.yaml:7: upstreams[0].passwordFile`. */
export async function whereNamed(path: string, sources: SettingSources): Promise<string | undefined> {
  const file = await fileOf(sources)
  const given = NAMES.flatMap((name) => {
    const setting: Setting<unknown> = SETTINGS[name]
    return [fromFlag(setting, sources), fromEnv(setting, sources), file.get(name)?.given]
  })
  return placesOf(path, given)[0]
}

function placesOf(path: string, given: readonly (GivenValue | undefined)[]): readonly string[] {
  return given.flatMap((one) => {
    if (one === undefined) return []
    const { location, name, value } = one
    if (value instanceof Map)
      return placesOf(
        path,
        [...value.values()].map((entry: GivenEntry) => entry.given),
      )
    if (typeof value !== 'string') return placesOf(path, value as readonly GivenValue[])
    if (value !== path) return []
    return [location === undefined || location === name ? name : `${location}: ${name}`]
  })
}

function choose(
  setting: Setting<unknown>,
  name: string,
  sources: SettingSources,
  file: ReadonlyMap<string, GivenEntry> | undefined,
): unknown {
  // Sources that are overridden are checked, too: otherwise a mistake shows only when the overriding source is removed.
  let value = setting.defaultValue
  for (const given of [file?.get(name)?.given, fromEnv(setting, sources), fromFlag(setting, sources)]) {
    if (given !== undefined) value = setting.format.read(given)
  }
  return value !== null && typeof value === 'object' ? Object.freeze(value) : value
}

function fromFlag(setting: Setting<unknown>, sources: SettingSources): GivenValue | undefined {
  const value = setting.flag === undefined ? undefined : sources.flags[setting.flag]
  if (value === undefined) return undefined
  const name = `--${setting.flag}`
  if (typeof value === 'string') return { location: undefined, name, value }
  if (!setting.repeatable) throw new SettingsError(`${name} is given more than once; keep one`)
  return { location: undefined, name, value: value.map((one) => ({ location: undefined, name, value: one })) }
}

/** An empty variable counts as unset, because `${X:-}` in a compose file or a chart makes one for an unset value. */
function fromEnv(setting: Setting<unknown>, sources: SettingSources): GivenValue | undefined {
  const value = setting.env === undefined ? undefined : sources.env[setting.env]
  return value === undefined || value === '' || setting.env === undefined
    ? undefined
    : { location: undefined, name: setting.env, value }
}

function refuseUnknownVariables(env: SettingSources['env']): void {
  const known = NAMES.map((name) => SETTINGS[name].env).filter((name) => name !== undefined)
  for (const name of Object.keys(env)) {
    if (name.startsWith('LEAT_') && !known.includes(name) && !SERVICE_LINK.test(name)) {
      refuseUnknown('environment', name, known)
    }
  }
}

async function fileOf(sources: SettingSources): Promise<ReadonlyMap<string, GivenEntry>> {
  const named = choose(SETTINGS.config, 'config', sources, undefined) as string | undefined
  const file = named ?? sources.defaultFile
  const source = await readSource(file, named !== undefined)
  const entries = source === undefined ? new Map<string, GivenEntry>() : readYaml(source, file)
  const known = NAMES.filter((name) => SETTINGS[name].inFile)
  for (const [key, { keyLocation }] of entries) {
    if (!(known as readonly string[]).includes(key)) refuseUnknown(keyLocation, key, known)
  }
  return entries
}

async function readSource(file: string, required: boolean): Promise<string | undefined> {
  try {
    const { size } = await stat(file)
    if (size > MAX_FILE_BYTES)
      throw new SettingsError(`${file} is larger than 1MiB; it cannot be a settings file`)
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause
    const code = errorCode(cause)
    if (code === 'ENOENT' && !required) return undefined
    if (code === 'ENOENT') {
      throw new SettingsError(`${file} does not exist; give --config the path of a YAML file`, { cause })
    }
    const reason =
      code === 'EACCES' ? 'permission denied' : code === 'EISDIR' ? 'it is a folder' : String(code)
    throw new SettingsError(`cannot read ${file}: ${reason}`, { cause })
  }
}
