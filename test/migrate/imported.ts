import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/schema.ts'
import { type Conversion, convertSettings } from '../../src/migrate/convert.ts'

export interface Imported extends Omit<Conversion, 'kinds'> {
  readonly kind: string | undefined
  /** The settings of an agent that is started with the result. */
  readonly loaded: Settings
}

/** Imports one file, by default one that says itself what it is, and loads the result as the agent does. */
export async function imported(
  text: string,
  {
    path = 'settings',
    kind,
    withPasswords = false,
  }: { path?: string; kind?: string; withPasswords?: boolean } = {},
): Promise<Imported> {
  const { kinds, ...rest } = convertSettings([{ path, text }], { kind, withPasswords })
  for (const note of rest.notes) assert.match(note, /^\S.*\.$/, 'a note is a sentence')
  return { ...rest, kind: kinds[0], loaded: await loaded(rest.yaml) }
}

export async function loaded(yaml: string): Promise<Settings> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-migrate-'))
  try {
    const config = join(folder, 'config.yaml')
    await writeFile(config, yaml)
    return await loadSettings({ flags: { config }, env: {}, defaultFile: '/none' })
  } finally {
    await rm(folder, { recursive: true })
  }
}
