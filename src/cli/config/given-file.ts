import type { SettingSources } from '../../config/load.ts'
import { type Invocation, type Terminal, usageError } from '../context/command.ts'
import { givenSettings } from '../context/settings.ts'

/** The sources of the settings, with the file that is given as an argument in the place of `--config`. */
export function sourcesWithFile(
  paths: readonly string[],
  given: Invocation,
  terminal: Terminal,
): SettingSources {
  const sources = givenSettings(given, terminal)
  const [file, second] = paths
  if (file === undefined) return sources
  if (second !== undefined) throw usageError('only one settings file is read; give one')
  if (sources.flags['config'] !== undefined)
    throw usageError('the settings file is given twice; leave out --config')
  return { ...sources, flags: { ...sources.flags, config: file } }
}
