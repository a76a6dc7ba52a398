import { DEFAULT_FILE, type SettingSources } from '../../config/load.ts'
import { SETTINGS, type Setting, type SettingName } from '../../config/schema.ts'
import type { Flag, Invocation, Terminal } from './command.ts'

/** The command-line flags of these settings. */
export function settingFlags(...names: readonly SettingName[]): readonly Flag[] {
  return names.flatMap((name): readonly Flag[] => {
    const { flag, help, defaultText, repeatable, isSwitch, example }: Setting<unknown> = SETTINGS[name]
    if (flag === undefined) return []
    if (isSwitch) return [{ name: flag, kind: 'switch', help, defaultText: undefined }]
    const kind = repeatable ? 'list' : 'text'
    return [
      {
        name: flag,
        kind,
        help: example === defaultText ? help : `${help}; example: ${example}`,
        defaultText: defaultText,
      },
    ]
  })
}

/** The flags of all settings that have one. */
export function allSettingFlags(): readonly Flag[] {
  return settingFlags(...(Object.keys(SETTINGS) as SettingName[]))
}

export function givenSettings(given: Invocation, terminal: Terminal): SettingSources {
  const switches = Object.fromEntries([...given.switches].map((name) => [name, 'true']))
  return { flags: { ...given.values, ...switches }, env: terminal.env, defaultFile: DEFAULT_FILE }
}
