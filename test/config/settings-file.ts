import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings, type SettingSources } from '../../src/config/load.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'

/** The folder of the settings file. It is the process's, because several test files may share one. */
export const folder = mkdtempSync(join(tmpdir(), 'leat-config-'))
const file = join(folder, 'config.yaml')

process.once('exit', () => rmSync(folder, { recursive: true }))

/** Sources of settings, with this text in the settings file. */
export async function given(
  yaml: string | undefined,
  more: Partial<SettingSources> = {},
): Promise<SettingSources> {
  if (yaml === undefined) await rm(file, { force: true })
  else await writeFile(file, yaml)
  return { flags: {}, env: {}, defaultFile: file, ...more }
}

/** The message of the error with which these settings are refused. */
export async function problem(yaml: string | undefined, more: Partial<SettingSources> = {}): Promise<string> {
  const failure = await loadSettings(await given(yaml, more)).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(failure instanceof SettingsError, `no problem found in ${yaml}`)
  assert.ok(!failure.message.includes('\n'))
  return failure.message.replaceAll(file, 'FILE')
}
