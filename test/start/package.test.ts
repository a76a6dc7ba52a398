import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderBytes } from '../../release/files/libraries.ts'
import { packNpm } from '../../release/files/npm-package.ts'
import { requirePrograms, run } from '../../testkit/programs.ts'

const MOST_INSTALLED_BYTES = 30e6

test('the packed project installs without a registry, has no TypeScript, is typed, and starts under both names', async (t) => {
  const programs = requirePrograms(t, ['npm'])
  if (programs === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-package-'))
  t.after(() => rm(folder, { recursive: true }))
  const project = join(folder, 'project')
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'src',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ]) {
    await cp(name, join(project, name), { recursive: true })
  }
  const tsc = join(process.cwd(), 'node_modules', 'typescript', 'bin', 'tsc')
  await cp('node_modules', join(project, 'node_modules'), { recursive: true, dereference: false })
  await run(process.execPath, [tsc, '-p', join(project, 'tsconfig.json')])
  const stage = await mkdtemp(join(folder, 'stage-'))
  const file = packNpm(project, stage, folder)
  const empty = await mkdtemp(join(folder, 'empty-'))
  await writeFile(join(empty, 'package.json'), '{ "type": "module" }')
  await run(programs.npm, ['install', '--offline', '--silent', '--no-audit', join(folder, file)], {
    cwd: empty,
    // An empty cache: nothing of another installation is at hand.
    env: { npm_config_cache: join(folder, 'cache') },
  })
  const installed = join(empty, 'node_modules')
  const bytes = folderBytes(installed)
  t.diagnostic(`${Math.round(bytes / 1e6)} MB installed`)
  assert.ok(bytes < MOST_INSTALLED_BYTES, `${bytes} bytes installed`)
  const { stdout } = await run(join(installed, '.bin', 'leat'), ['--version'], { cwd: empty })
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
  const help = await run(join(installed, '.bin', 'agent'), ['--help'], { cwd: empty })
  assert.match(help.stdout, /^agent <command>/)
  await writeFile(
    join(empty, 'use.ts'),
    "import { createAgent } from 'leat'\nconst agent = createAgent({ data: '/tmp/x' })\nexport const stopped: Promise<void> = agent.stop()\n",
  )
  const strict = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--exactOptionalPropertyTypes',
  ]
  const types = ['--types', 'node', '--typeRoots', join(process.cwd(), 'node_modules', '@types')]
  await run(process.execPath, [tsc, ...strict, ...types, 'use.ts'], { cwd: empty })
})
