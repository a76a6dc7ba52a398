import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ContainerdSeen, judgeContainerd, seeContainerd } from '../../../src/doctor/checks/containerd.ts'
import { requirePrograms } from '../../../testkit/programs.ts'
import { told } from '../told.ts'

const CONFIG = '/etc/containerd/config.toml'
/** A slow machine changes nothing of what is found. */
const signal = new AbortController().signal

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(made, { recursive: true }))
  return made
}

function dumped(text: string): readonly string[] {
  const seen: ContainerdSeen = { dump: { kind: 'text', text }, changedAt: undefined, startedAt: undefined }
  return told(judgeContainerd(seen, { config: CONFIG }))
}

test('a containerd that is installed is asked what its configuration comes to', async (t) => {
  if (requirePrograms(t, ['containerd']) === undefined) return
  const config = join(await folder(t), 'config.toml')
  const look = async (text: string) => {
    await writeFile(config, text)
    for (;;) {
      const seen = await seeContainerd(config, { root: '/', signal })
      const [found] = told(judgeContainerd(seen, { config }))
      // On a machine that stands still it may be given up: that is no answer, and it is asked again.
      if (found?.includes('it did not end in time') !== true) return found
    }
  }
  const section = '[plugins."io.containerd.grpc.v1.cri".registry]'
  assert.equal(
    await look(`version = 2\n${section}\n  config_path = "/etc/containerd/certs.d"\n`),
    'ok: containerd itself says that it looks for mirrors in /etc/containerd/certs.d',
  )
  assert.equal(await look('version = 2\n'), 'problem: containerd itself says that it has no config_path')
  assert.match((await look('version = \n')) ?? '', /^not-looked-at: containerd does not say what its/)
})

test('config_path where it does not count is told', () => {
  const images = '[plugins."io.containerd.cri.v1.images"'
  const transfer = '[plugins."io.containerd.transfer.v1.local"]\nconfig_path = "/etc/containerd/certs.d"\n'
  assert.deepEqual(dumped(`version = 3\n${images}.registry]\nconfig_path = ""\n${transfer}`), [
    'problem: containerd has a config_path under [plugins."io.containerd.transfer.v1.local"], which does not pull for Kubernetes',
  ])
  const two = 'config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"\n'
  assert.deepEqual(dumped(`version = 3\n${images}.registry]\n${two}`), [
    'problem: containerd itself says that it has 2 folders in config_path (/etc/containerd/certs.d:/etc/docker/certs.d)',
  ])
  const local = `version = 3\n${images}]\nuse_local_image_pull = true\n${images}.registry]\n${two}`
  const both =
    'ok: containerd itself says that it looks for mirrors in /etc/containerd/certs.d and /etc/docker/certs.d'
  assert.deepEqual(dumped(local), [both])
  assert.deepEqual(dumped(`version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n${two}`), [both])
  assert.deepEqual(dumped('version = 2\n'), [
    'not-looked-at: containerd has no CRI plugin: Kubernetes does not pull with it',
  ])
  assert.match(dumped('what')[0] ?? '', /^not-looked-at: containerd config dump:1 is not TOML/)
})

test('a configuration that is newer than the daemon is not known to it', async (t) => {
  const root = await folder(t)
  for (const path of ['etc/containerd', 'run/containerd']) await mkdir(join(root, path), { recursive: true })
  const [config, socket] = [join(root, CONFIG), join(root, 'run/containerd/containerd.sock')]
  await writeFile(config, 'version = 2\n')
  await writeFile(socket, '')
  const look = async () =>
    told(judgeContainerd(await seeContainerd(CONFIG, { root, signal }), { config: CONFIG }))
  await utimes(config, 1000, 1000)
  await utimes(socket, 2000, 2000)
  assert.deepEqual(await look(), [])
  await utimes(config, 3000, 3000)
  assert.deepEqual(await look(), [`warning: ${CONFIG} was changed after containerd was started`])
})
