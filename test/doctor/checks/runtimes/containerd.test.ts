import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type ContainerdState,
  inspectContainerd,
  judgeContainerd,
} from '../../../../src/doctor/checks/runtimes/containerd.ts'
import { requirePrograms } from '../../../../testkit/programs.ts'
import { findingLines } from '../../finding-lines.ts'

const CONFIG = '/etc/containerd/config.toml'
/** Without a deadline, the findings do not depend on the speed of the machine. */
const signal = new AbortController().signal

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

function linesOfDump(text: string): readonly string[] {
  const state: ContainerdState = {
    dump: { kind: 'output', text },
    changedAt: undefined,
    startedAt: undefined,
  }
  return findingLines(judgeContainerd(state, { config: CONFIG }))
}

test('an installed containerd prints its effective configuration, which is judged', async (t) => {
  if (requirePrograms(t, ['containerd']) === undefined) return
  const config = join(await folder(t), 'config.toml')
  const check = async (text: string) => {
    await writeFile(config, text)
    for (;;) {
      const state = await inspectContainerd(config, { root: '/', signal })
      const [found] = findingLines(judgeContainerd(state, { config }))
      // On a very slow machine containerd may be killed at its timeout; it is then asked again.
      if (found?.includes('it did not end in time') !== true) return found
    }
  }
  const section = '[plugins."io.containerd.grpc.v1.cri".registry]'
  assert.equal(
    await check(`version = 2\n${section}\n  config_path = "/etc/containerd/certs.d"\n`),
    'ok: containerd looks for mirrors in /etc/containerd/certs.d',
  )
  assert.equal(
    await check('version = 2\n'),
    'problem: the effective configuration of containerd has no config_path',
  )
  assert.match(
    (await check('version = \n')) ?? '',
    /^not-checked: containerd does not print its effective configuration/,
  )
})

test('a config_path that has no effect is a problem', () => {
  const images = '[plugins."io.containerd.cri.v1.images"'
  const transfer = '[plugins."io.containerd.transfer.v1.local"]\nconfig_path = "/etc/containerd/certs.d"\n'
  assert.deepEqual(linesOfDump(`version = 3\n${images}.registry]\nconfig_path = ""\n${transfer}`), [
    'problem: containerd has a config_path under [plugins."io.containerd.transfer.v1.local"], which is not the plugin that pulls for Kubernetes',
  ])
  const two = 'config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"\n'
  assert.deepEqual(linesOfDump(`version = 3\n${images}.registry]\n${two}`), [
    'problem: the effective configuration of containerd has a list of folders in config_path (/etc/containerd/certs.d:/etc/docker/certs.d)',
  ])
  const local = `version = 3\n${images}]\nuse_local_image_pull = true\n${images}.registry]\n${two}`
  const both = 'ok: containerd looks for mirrors in /etc/containerd/certs.d and /etc/docker/certs.d'
  assert.deepEqual(linesOfDump(local), [both])
  assert.deepEqual(linesOfDump(`version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n${two}`), [both])
  assert.deepEqual(linesOfDump('version = 2\n'), [
    'not-checked: containerd has no CRI plugin, so Kubernetes does not pull with it',
  ])
  assert.match(linesOfDump('what')[0] ?? '', /^not-checked: containerd config dump:1 is not valid TOML/)
})

test('a configuration that was changed after the start of containerd is a warning', async (t) => {
  const root = await folder(t)
  for (const path of ['etc/containerd', 'run/containerd']) await mkdir(join(root, path), { recursive: true })
  const [config, socket] = [join(root, CONFIG), join(root, 'run/containerd/containerd.sock')]
  await writeFile(config, 'version = 2\n')
  await writeFile(socket, '')
  const check = async () =>
    findingLines(judgeContainerd(await inspectContainerd(CONFIG, { root, signal }), { config: CONFIG }))
  await utimes(config, 1000, 1000)
  await utimes(socket, 2000, 2000)
  assert.deepEqual(await check(), [])
  await utimes(config, 3000, 3000)
  assert.deepEqual(await check(), [`warning: ${CONFIG} was changed after containerd was started`])
})
