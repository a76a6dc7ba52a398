import { stringify } from 'yaml'
import { addCredentials, CREDENTIALS_VARIABLE } from './credentials.ts'
import {
  givenValues,
  readSettingsFile,
  SETTING_NAMES,
  type SettingSources,
  settingsFile,
} from './given-settings.ts'
import { loadSettings } from './load.ts'
import { SETTINGS, type Setting, type SettingName } from './schema.ts'
import type { GivenValue, ShownValue } from './values/format.ts'

/** A setting as it counts, and where it comes from. */
export interface ShownSetting {
  readonly name: SettingName
  /** As a file would have it, with secrets hidden; null for a default that is no value. */
  readonly value: ShownValue | null
  /** `default`, `--max-bytes`, `LEAT_MAX_BYTES` or `/etc/leat/config.yaml:3`. */
  readonly from: string
}

export interface ShownSettings {
  /** The file that was read; undefined without one. */
  readonly file: string | undefined
  readonly settings: readonly ShownSetting[]
}

/** Shows all settings as `agent serve` would have them. Throws a `SettingsError` as `loadSettings` does. */
export async function showSettings(sources: SettingSources): Promise<ShownSettings> {
  await loadSettings(sources)
  const entries = await readSettingsFile(sources)
  const settings = SETTING_NAMES.map((name) => {
    const shown = showSetting(name, givenValues(name, sources, entries).at(-1))
    return name === 'upstreams' ? withCredentials(shown, sources) : shown
  })
  return { file: entries === undefined ? undefined : settingsFile(sources).path, settings }
}

function showSetting(name: SettingName, given: GivenValue | undefined): ShownSetting {
  const { format, defaultValue, defaultText }: Setting<unknown> = SETTINGS[name]
  if (given !== undefined) return { name, value: format.show(given), from: given.location ?? given.name }
  const isNone = defaultValue === undefined || (Array.isArray(defaultValue) && defaultValue.length === 0)
  return { name, value: isNone ? null : defaultText, from: 'default' }
}

/** Names the registries that have a password in the environment. */
function withCredentials(shown: ShownSetting, { env }: SettingSources): ShownSetting {
  const variable = env[CREDENTIALS_VARIABLE]
  if (variable === undefined || variable === '') return shown
  const names = addCredentials([], variable).map(({ namespace }) => namespace)
  return { ...shown, from: `${shown.from}, and ${CREDENTIALS_VARIABLE} for ${names.join(', ')}` }
}

/** Writes the settings as a configuration file, in which a comment says where each value comes from. */
export function settingsYaml({ file, settings }: ShownSettings): string {
  const isDefault = ({ from }: ShownSetting): boolean => from === 'default'
  const given = settings.filter((shown) => !isDefault(shown))
  return [
    `# The settings of agent serve, ${file === undefined ? 'without a file' : `with ${file}`}.\n`,
    ...given.map(givenLines),
    '\n# Defaults:\n',
    ...settings.filter(isDefault).map(({ name }) => `# ${name}: ${SETTINGS[name].defaultText}\n`),
  ].join('')
}

function givenLines({ name, value, from }: ShownSetting): string {
  const text = stringify({ [name]: value }, { aliasDuplicateObjects: false, lineWidth: 0 })
  return `# ${from}\n${SETTINGS[name].inFile ? text : text.replace(/^(?=.)/gm, '# ')}`
}
