import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../lib/error-code.ts'
import { addCredentials, CREDENTIALS_VARIABLE } from './credentials.ts'
import { SERVICE_LINK, SETTINGS, type Setting, type SettingName, type Settings } from './schema.ts'
import { type Entry, refuseUnknown, SettingsError, type Written } from './values/shape.ts'
import { readYaml } from './yaml-file.ts'

/** Where settings can come from. */
export interface Given {
  /** By flag, without dashes. */
  readonly flags: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Read when no file is named; need not exist. */
  readonly usualFile: string
}

export const USUAL_FILE = '/etc/leat/config.yaml'
const MAX_FILE_BYTES = 1024 * 1024
const NAMES = Object.keys(SETTINGS) as SettingName[]

/** All settings: flags over environment over file over defaults. Throws a `SettingsError` at the first mistake. */
export async function loadSettings(given: Given): Promise<Settings> {
  refuseUnknownVariables(given.env)
  const file = await fileOf(given)
  const values: Record<string, unknown> = {}
  for (const name of NAMES) values[name] = choose(SETTINGS[name], name, given, file)
  const settings = values as unknown as Settings
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    throw new SettingsError('TLS needs both --tls-cert and --tls-key; one of them is missing')
  }
  const credentials = given.env[CREDENTIALS_VARIABLE]
  if (credentials === undefined || credentials === '') return Object.freeze(settings)
  return Object.freeze({ ...settings, upstreams: addCredentials(settings.upstreams, credentials) })
}

/**
 * One setting, for a command that needs no other. The file is read only when neither flag nor environment has it: it
 * may hold passwords and be closed to whoever wants to see how the agent is doing.
 */
export async function loadSetting<Name extends SettingName>(
  name: Name,
  given: Given,
): Promise<Settings[Name]> {
  const setting: Setting<unknown> = SETTINGS[name]
  const atHand = fromFlag(setting, given) ?? fromEnv(setting, given)
  const file = atHand === undefined ? await fileOf(given) : undefined
  return choose(setting, name, given, file) as Settings[Name]
}

function choose(
  setting: Setting<unknown>,
  name: string,
  given: Given,
  file: ReadonlyMap<string, Entry> | undefined,
): unknown {
  // Each source is checked, also where another one wins: a mistake that shows only later is found by nobody.
  let value = setting.fallback
  for (const written of [file?.get(name)?.written, fromEnv(setting, given), fromFlag(setting, given)]) {
    if (written !== undefined) value = setting.shape(written)
  }
  return value !== null && typeof value === 'object' ? Object.freeze(value) : value
}

function fromFlag(setting: Setting<unknown>, given: Given): Written | undefined {
  const value = setting.flag === undefined ? undefined : given.flags[setting.flag]
  if (value === undefined) return undefined
  const name = `--${setting.flag}`
  if (typeof value === 'string') return { place: undefined, name, value }
  if (!setting.repeatable) throw new SettingsError(`${name} is given more than once; keep one`)
  return { place: undefined, name, value: value.map((one) => ({ place: undefined, name, value: one })) }
}

/** An empty variable counts as none: `${X:-}` in a compose file or a chart means that there is nothing to say. */
function fromEnv(setting: Setting<unknown>, given: Given): Written | undefined {
  const value = setting.env === undefined ? undefined : given.env[setting.env]
  return value === undefined || value === '' || setting.env === undefined
    ? undefined
    : { place: undefined, name: setting.env, value }
}

function refuseUnknownVariables(env: Given['env']): void {
  const known = NAMES.map((name) => SETTINGS[name].env).filter((name) => name !== undefined)
  for (const name of Object.keys(env)) {
    if (name.startsWith('LEAT_') && !known.includes(name) && !SERVICE_LINK.test(name)) {
      refuseUnknown('environment', name, known)
    }
  }
}

async function fileOf(given: Given): Promise<ReadonlyMap<string, Entry>> {
  const named = choose(SETTINGS.config, 'config', given, undefined) as string | undefined
  const file = named ?? given.usualFile
  const source = await readSource(file, named !== undefined)
  const entries = source === undefined ? new Map<string, Entry>() : readYaml(source, file)
  const known = NAMES.filter((name) => SETTINGS[name].inFile)
  for (const [key, { place }] of entries) {
    if (!(known as readonly string[]).includes(key)) refuseUnknown(place, key, known)
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
