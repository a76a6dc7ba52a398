import { settingsYaml, showSettings } from '../../config/shown-settings.ts'
import type { Invocation, Terminal } from '../context/command.ts'
import { sourcesWithFile } from './given-file.ts'

/** `agent config show [FILE]`: prints the settings as `agent serve` would have them, with secrets hidden. */
export async function printSettings(
  paths: readonly string[],
  given: Invocation,
  terminal: Terminal,
): Promise<0> {
  const shown = await showSettings(sourcesWithFile(paths, given, terminal))
  if (!given.switches.has('json')) {
    await terminal.out(settingsYaml(shown))
    return 0
  }
  const settings = Object.fromEntries(shown.settings.map(({ name, value, from }) => [name, { value, from }]))
  await terminal.out(`${JSON.stringify({ file: shown.file ?? null, settings }, undefined, 2)}\n`)
  return 0
}
