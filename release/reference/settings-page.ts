import { isLive } from '../../src/cli/serve/changed-settings.ts'
import { SETTINGS, type Setting, type SettingName } from '../../src/config/schema.ts'
import { fieldRows } from './field-rows.ts'
import { code, page, plain, table } from './markdown.ts'

/** The page on all settings, made from their table. */
export function settingsPage(): string {
  const settings = Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]
  return page(
    'Settings',
    'Flags override variables of the environment, which override the file (`--config`, or `/etc/leat/config.yaml` if it exists), which overrides the defaults. `agent config check` lists all mistakes of a file, and `agent config show` says where each value comes from. The file has a [JSON Schema](../schemas/config.json).',
    ...settings.map(([name, setting]) => settingText(name, setting)),
  )
}

function settingText(name: SettingName, setting: Setting<unknown>): string {
  const { flag, env, inFile, format, defaultText, help, example, repeatable } = setting
  const { description } = format.jsonSchema
  const expected =
    typeof description === 'string' ? description.replace(/^Expected: (.*)\.$/, '$1') : undefined
  const rows = [
    ['in the file', inFile ? code(name) : 'no'],
    ['flag', flag === undefined ? 'no' : `${code(`--${flag}`)}${repeatable ? ', repeatable' : ''}`],
    ['variable', env === undefined ? 'no' : code(env)],
    ['default', plain(defaultText)],
    ...(expected === undefined ? [] : [['value', plain(expected)]]),
    ['example', code(example)],
    ['a running agent takes over a change', isLive(name) ? 'yes' : 'no, it needs a restart'],
  ]
  const keys = fieldRows(format.jsonSchema).map(([key, type, text]) => [
    key,
    type,
    text.replace(/^Expected: (.*)\.$/, '$1'),
  ])
  return [
    `## ${name}`,
    `${help[0]?.toUpperCase()}${plain(help.slice(1))}.`,
    table(['', ''], rows),
    ...(keys.length === 0 ? [] : [table(['key', 'type', 'value'], keys)]),
  ].join('\n\n')
}
