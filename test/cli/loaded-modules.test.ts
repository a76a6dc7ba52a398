import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as v from 'valibot'
import { DEFAULT_FILE } from '../../src/config/load.ts'
import { folder } from '../store/folder.ts'
import { runAgent } from './agent-process.ts'

const Coverage = v.object({ result: v.array(v.object({ url: v.string() })) })

/** The packages and the files of the agent that a command loads. */
async function loadedBy(t: TestContext, args: readonly string[]): Promise<readonly string[]> {
  const path = await folder(t)
  // V8 lists all scripts that were loaded.
  await runAgent(args, { NODE_V8_COVERAGE: path })
  const [file = assert.fail('no coverage was written')] = await readdir(path)
  const { result } = v.parse(Coverage, JSON.parse(await readFile(join(path, file), 'utf8')))
  return result.flatMap(({ url }) => {
    const [, name] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? /\/src\/(.+)\.js$/.exec(url) ?? []
    return name === undefined ? [] : [name]
  })
}

const HEAVY = ['yaml', 'undici', 'pino', 'level', 'hyperswarm', 'hyperdht', 'jose', 'smol-toml', 'tldts']

test('agent --version loads neither a parser of arguments nor a command', async (t) => {
  for (const flag of ['--version', '-V']) {
    const loaded = await loadedBy(t, [flag])
    assert.ok(loaded.includes('main'))
    assert.deepEqual(
      loaded.filter((name) => name === 'yargs' || name.startsWith('cli/commands/')),
      [],
    )
  }
})

test('agent status loads no library of the agent, and no parser of YAML where there is no file', async (t) => {
  const heavy = existsSync(DEFAULT_FILE) ? HEAVY.filter((name) => name !== 'yaml') : HEAVY
  const loaded = await loadedBy(t, ['status', '--admin', '127.0.0.1:1'])
  assert.ok(loaded.includes('cli/commands/reports/status') && loaded.includes('yargs'))
  assert.deepEqual(
    loaded.filter((name) => heavy.includes(name) || name === 'agent' || name === 'wiring'),
    [],
  )
})
