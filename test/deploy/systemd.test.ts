import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readArguments } from '../../src/commands/arguments.ts'
import { loadSettings } from '../../src/config/load.ts'
import { tryRun } from '../support/programs.ts'
import { DEPLOY } from './manifests.ts'

const UNIT = join(DEPLOY, 'systemd/leat.service')

test('the unit starts the agent with flags that it has, and lets transfers end', async () => {
  const text = await readFile(UNIT, 'utf8')
  const [, ...words] = setting(text, 'ExecStart').split(' ')
  const main = words.shift() ?? ''
  assert.ok(main.endsWith('/node_modules/leat/dist/main.js'), main)
  const request = await readArguments(words, { version: '0', width: 100 })
  assert.ok(request.kind === 'run')
  const { values } = request.given
  const settings = await loadSettings({ flags: values, env: {}, usualFile: '/nowhere' })
  assert.equal(settings.data, `\${STATE_DIRECTORY}`)
  assert.ok(Number.parseInt(setting(text, 'TimeoutStopSec'), 10) * 1000 > settings.drainTimeout)
  assert.equal(setting(text, 'ProtectSystem'), 'strict')
  assert.equal(setting(text, 'DynamicUser'), 'yes')
})

test('systemd understands the unit', async (t) => {
  const version = await tryRun('systemd-analyze', ['--version']).catch(() => undefined)
  if (version === undefined) return t.skip('missing: systemd-analyze (Debian package systemd)')
  const { code, stdout, stderr } = await tryRun('systemd-analyze', ['verify', UNIT])
  // That Node is not at /usr/bin here says nothing about the unit.
  const complaints = (stdout + stderr).split('\n').filter((line) => line.includes('leat.service'))
  const own = complaints.filter((line) => !/is not executable/.test(line))
  assert.deepEqual(own, [], `exit code ${code}`)
})

function setting(text: string, key: string): string {
  return new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? assert.fail(`there is no ${key}`)
}
