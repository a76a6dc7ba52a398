import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMMANDS } from '../../../src/cli/command-list.ts'
import { bashCompletion } from '../../../src/cli/completion/bash.ts'
import { type CommandWords, commandWords, flagsWithValue } from '../../../src/cli/completion/command-words.ts'
import { fishCompletion } from '../../../src/cli/completion/fish.ts'
import { zshCompletion } from '../../../src/cli/completion/zsh.ts'
import { requirePrograms, run } from '../../../testkit/programs.ts'

async function withScript<Result>(
  completion: (commands: readonly CommandWords[]) => string,
  work: (path: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-completion-'))
  try {
    const path = join(folder, 'script')
    await writeFile(path, completion(await commandWords(COMMANDS)))
    return await work(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('every command has its flags, those with a value, and the words of its first argument', async () => {
  const words = await commandWords(COMMANDS)
  assert.deepEqual(
    words.map(({ name }) => name),
    COMMANDS.map(({ name }) => name),
  )
  const status = words.find(({ name }) => name === 'status') ?? assert.fail()
  assert.ok(status.flags.some(({ name }) => name === 'json'))
  assert.ok(flagsWithValue(status.flags).some(({ name }) => name === 'admin'))
  assert.ok(!flagsWithValue(status.flags).some(({ name }) => name === 'json'))
  assert.deepEqual(words.find(({ name }) => name === 'completion')?.choices, ['bash', 'zsh', 'fish'])
  assert.deepEqual(words.find(({ name }) => name === 'config')?.choices, [
    'check',
    'show',
    'schema',
    'import',
  ])
})

test('bash completes commands, actions and flags, and leaves the value of a flag to its own completion of files', async (t) => {
  const programs = requirePrograms(t, ['bash'])
  if (programs === undefined) return
  const completed = async (...line: readonly string[]): Promise<readonly string[]> =>
    withScript(bashCompletion, async (script) => {
      const asked = `source ${script}; COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _leat; echo "\${COMPREPLY[*]}"`
      const { stdout } = await run(programs.bash, ['--norc', '-c', asked, 'bash', ...line])
      return stdout.split(/\s+/).filter(Boolean)
    })
  assert.deepEqual(await completed('leat', 'co'), ['copy', 'config', 'completion'])
  assert.deepEqual(await completed('agent', 'config', 'sh'), ['show'])
  assert.deepEqual(await completed('leat', 'status', '--admin-t'), ['--admin-token-file'])
  assert.deepEqual(await completed('leat', 'serve', '--config', 'x'), [])
  assert.deepEqual(await completed('leat', 'nothing', '-'), [])
})

test('zsh reads the script and completes both names with it', async (t) => {
  const programs = requirePrograms(t, ['zsh'])
  if (programs === undefined) return
  const { stdout } = await withScript(zshCompletion, (script) =>
    run(programs.zsh, [
      '-f',
      '-c',
      `autoload -U compinit; compinit -D -u; source ${script}; echo $_comps[leat] $_comps[agent]`,
    ]),
  )
  assert.equal(stdout, '_leat _leat\n')
})

test('fish completes commands, actions and flags of both names', async (t) => {
  const programs = requirePrograms(t, ['fish'])
  if (programs === undefined) return
  const completed = async (line: string): Promise<readonly string[]> =>
    withScript(fishCompletion, async (script) => {
      const env = { HOME: join(script, '..'), XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined }
      const { stdout } = await run(
        programs.fish,
        ['--no-config', '-c', `source ${script}; complete -C '${line}'`],
        { env },
      )
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((one) => one.split('\t')[0] ?? '')
    })
  assert.deepEqual(await completed('leat co'), ['completion', 'config', 'copy'])
  assert.deepEqual(await completed('agent config s'), ['schema', 'show'])
  assert.deepEqual(await completed('leat status --admin-t'), ['--admin-token-file'])
})
