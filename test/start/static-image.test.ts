import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { answers } from '../../testkit/daemon.ts'
import { requirePrograms, requireRoot, run } from '../../testkit/programs.ts'
import { buildImage } from '../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { runInProcess } from '../cli/run-in-process.ts'
import { readyConfig } from '../clients/export/nginx.ts'
import { argumentsOf, copyOf, readDockerfile } from './dockerfile.ts'

const FOLDER = fileURLToPath(new URL('../../../deploy/static', import.meta.url))
const READY_MS = 60_000

test('the steps of the image for a static registry: its user serves, is healthy, and ends on its stop signal', async (t) => {
  const programs = requirePrograms(t, ['nginx', 'setpriv', 'wget'])
  if (programs === undefined || !requireRoot(t)) return
  const [stage] = readDockerfile(await readFile(join(FOLDER, 'Dockerfile'), 'utf8'))
  assert.ok(stage)
  const textOf = (word: string): string =>
    stage.instructions.find((instruction) => instruction.word === word)?.text ?? assert.fail(word)
  const { sources, target } = copyOf(textOf('COPY'))
  assert.deepEqual([sources, target], [['nginx.conf'], '/etc/nginx/nginx.conf'])
  await readFile(join(FOLDER, 'nginx.conf'))

  const folder = await mkdtemp(join(tmpdir(), 'leat-static-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFiles(join(folder, 'layout'), layoutFiles({ 'acme/app:v1': buildImage('static') }))
  const images = join(folder, 'images')
  const to = ['--to', `static:${images}`, '--nginx', join(images, 'registry.conf')]
  const { code, err } = await runInProcess(['export', '--from', `oci:${join(folder, 'layout')}`, ...to])
  assert.deepEqual([code, err], [0, ''])

  const { file, port } = await readyConfig(folder, images)
  const [uid = '', gid = ''] = textOf('USER').split(':')
  await chown(join(folder, 'tmp'), Number(uid), Number(gid))
  const [entry = '', ...rest] = [...argumentsOf(stage, 'ENTRYPOINT'), ...argumentsOf(stage, 'CMD')]
  assert.equal(entry, 'nginx')
  const asUser = ['--reuid', uid, '--regid', gid, '--clear-groups']
  const nginx = spawn(programs.setpriv, [...asUser, programs.nginx, '-c', file, ...rest], { stdio: 'ignore' })
  const ended = once(nginx, 'exit')
  t.after(() => nginx.kill('SIGKILL'))
  for (const deadline = Date.now() + READY_MS; !(await answers(`http://127.0.0.1:${port}/healthz`)); ) {
    assert.ok(nginx.exitCode === null && Date.now() < deadline, 'nginx does not serve')
    await pause(50)
  }
  const [wget = '', ...check] = argumentsOf(stage, 'HEALTHCHECK')
  assert.equal(wget, 'wget')
  await run(
    programs.wget,
    check.map((argument) => argument.replace('127.0.0.1:8080', `127.0.0.1:${port}`)),
  )
  const manifest = await fetch(`http://127.0.0.1:${port}/v2/acme/app/manifests/v1`)
  assert.equal(manifest.status, 200)
  await manifest.arrayBuffer()
  nginx.kill(textOf('STOPSIGNAL') as NodeJS.Signals)
  assert.deepEqual(await ended, [0, null])
})
