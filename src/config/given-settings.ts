import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../lib/error-code.ts'
import { SERVICE_LINK, SETTINGS, type Setting, type SettingName } from './schema.ts'
import { type GivenEntry, type GivenValue, refuseUnknown } from './values/format.ts'
import { readAll, SettingsError } from './values/settings-error.ts'

/** The sources of the settings. */
export interface SettingSources {
  /** The flags and their values, by the flag's name without dashes. */
  readonly flags: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** The file that is read when none is named; it need not exist. */
  readonly defaultFile: string
}

/** The settings of a file, by their names. */
export type FileEntries = ReadonlyMap<string, GivenEntry>

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]
const MAX_FILE_BYTES = 1024 * 1024

/** What the sources give for a setting; a later value overrides the ones before it. */
export function givenValues(
  name: SettingName,
  sources: SettingSources,
  file: FileEntries | undefined,
): readonly GivenValue[] {
  const setting: Setting<unknown> = SETTINGS[name]
  const all = [file?.get(name)?.given, fromEnv(setting, sources), fromFlag(setting, sources)]
  return all.filter((given) => given !== undefined)
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

export function refuseUnknownVariables(env: SettingSources['env']): void {
  const known = SETTING_NAMES.map((name) => SETTINGS[name].env).filter((name) => name !== undefined)
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith('LEAT_') && !known.includes(name) && !SERVICE_LINK.test(name),
  )
  readAll(unknown.map((name) => () => refuseUnknown('environment', name, known)))
}

/** The path of the settings file, and whether the sources name it, so that it must exist. */
export function settingsFile(sources: SettingSources): { readonly path: string; readonly isNamed: boolean } {
  const given = givenValues('config', sources, undefined)
  const [named] = given.map((one) => SETTINGS.config.format.read(one)).slice(-1)
  return { path: named ?? sources.defaultFile, isNamed: named !== undefined }
}

/** Reads the settings file; undefined when it is not there and need not be. Refuses keys that are not settings. */
export async function readSettingsFile(sources: SettingSources): Promise<FileEntries | undefined> {
  const { path, isNamed } = settingsFile(sources)
  const source = await readSource(path, isNamed)
  if (source === undefined) return undefined
  // Most commands find no file, and the parser of YAML takes a third of the time in which they start.
  const { readYaml } = await import('./yaml-file.ts')
  return readYaml(source, path)
}

export function refuseUnknownKeys(entries: FileEntries): void {
  const known = SETTING_NAMES.filter((name) => SETTINGS[name].inFile)
  const unknown = [...entries].filter(([key]) => !(known as readonly string[]).includes(key))
  readAll(
    unknown.map(
      ([key, { keyLocation }]) =>
        () =>
          refuseUnknown(keyLocation, key, known),
    ),
  )
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
