import { stringify } from 'yaml'
import type { FileSettings } from './file-settings.ts'

/** Writes the settings as a configuration file. */
export function configFile(settings: FileSettings, kinds: readonly string[]): string {
  const origin = `# Made by agent config import from the settings of ${[...new Set(kinds)].join(', ')}.\n`
  if (Object.keys(settings).length === 0) return `${origin}# None of them needs a setting here.\n`
  return origin + stringify(settings, { aliasDuplicateObjects: false, lineWidth: 0 })
}
