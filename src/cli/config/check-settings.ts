import { settingsFile } from '../../config/given-settings.ts'
import { loadSettings } from '../../config/load.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import { plain, plural } from '../../observe/text.ts'
import type { Invocation, Terminal } from '../context/command.ts'
import { sourcesWithFile } from './given-file.ts'

/** `agent config check [FILE]`: lists all mistakes with which `agent serve` would not start, one on each line. */
export async function checkSettings(
  paths: readonly string[],
  given: Invocation,
  terminal: Terminal,
): Promise<0 | 2> {
  const sources = sourcesWithFile(paths, given, terminal)
  const { path } = settingsFile(sources)
  const mistakes = await loadSettings(sources).then(
    () => [],
    (error: unknown) => {
      if (error instanceof SettingsError) return error.mistakes
      throw error
    },
  )
  if (given.switches.has('json')) {
    await terminal.out(
      `${JSON.stringify({ file: path, ok: mistakes.length === 0, mistakes }, undefined, 2)}\n`,
    )
  } else if (mistakes.length === 0) {
    await terminal.out(`${plain(path)} has no mistakes\n`)
  } else {
    await terminal.err(mistakes.map((mistake) => `${plain(mistake)}\n`).join(''))
    await terminal.err(`${plural(mistakes.length, 'mistake')} found\n`)
  }
  return mistakes.length === 0 ? 0 : 2
}
