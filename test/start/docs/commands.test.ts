import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { requirePrograms, requireRoot, tryRun } from '../../../testkit/programs.ts'
import { documentedCommands, reasonNotToRun, unusedReasons } from './documented-commands.ts'

const PROGRAM = fileURLToPath(new URL('world-program.js', import.meta.url))
const Results = v.array(v.object({ line: v.string(), code: v.nullable(v.number()), output: v.string() }))

test('every reason not to run a documented command is still needed', async () => {
  const lines = (await documentedCommands()).map(({ line }) => line)
  assert.ok(lines.length > 100)
  assert.deepEqual(unusedReasons(lines), [])
})

test('every documented command that this machine can run does what its page says', async (t) => {
  const programs = requirePrograms(t, ['skopeo', 'ip', 'unshare', 'openssl', 'tar', 'mount'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-commands-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const all = await documentedCommands()
  const lines = [...new Set(all.map(({ line }) => line))].filter((line) => reasonNotToRun(line) === undefined)
  await writeFile(join(folder, 'commands.json'), JSON.stringify(lines))
  const files = [join(folder, 'commands.json'), join(folder, 'results.json')]
  const isolation = ['--mount', '--net', '--propagation', 'private']
  const { code, stdout, stderr } = await tryRun(
    programs.unshare,
    [...isolation, process.execPath, PROGRAM, ...files],
    {
      deadlineMs: 280_000,
    },
  )
  assert.equal(code, 0, stdout + stderr)
  const results = v.parse(Results, JSON.parse(await readFile(files[1] ?? '', 'utf8')))
  const missing = lines.filter((line) => !results.some((one) => one.line === line))
  assert.deepEqual(missing, [])
  for (const { line, code: exitCode, output } of results) {
    const pages = all.filter((one) => one.line === line).map(({ page }) => page)
    // The doctor finds what is wrong with the small world of this test, and says so by its exit code.
    const isDoctor = /agent doctor\b/.test(line) && exitCode === 1
    assert.ok(exitCode === 0 || isDoctor, `${pages.join(', ')}: ${line}\nexit code ${exitCode}\n${output}`)
  }
})
