import assert from 'node:assert/strict'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pullOnce } from '../../../src/doctor/checks/runtimes/check-pull.ts'
import { tryRun } from '../../../testkit/programs.ts'
import { pullByCri, removeByCri } from '../../runtimes/cri-client.ts'
import { startContainerd } from './host-runtimes.ts'
import {
  assertPulledThroughAgent,
  type InstallLab,
  REF,
  runRuntimeCommand,
  startInstallLab,
} from './install-lab.ts'

const MISSING =
  'missing: containerd 2.x (CGO_ENABLED=0 go install -tags no_btrfs github.com/containerd/containerd/v2/cmd/containerd@latest)'
const LIST = '/etc/containerd/certs.d:/etc/docker/certs.d'

/** Debian has no containerd 2.x yet, so the folder of Go is searched too. */
async function containerd2(): Promise<string | undefined> {
  for (const path of ['containerd', join(homedir(), 'go/bin/containerd')]) {
    const version = await tryRun(path, ['--version']).catch(() => undefined)
    if (version !== undefined && / v?2\.\d+\.\d+/.test(version.stdout)) return path
  }
  return undefined
}

/** Undefined, and the test is skipped, if there is no containerd 2.x. */
async function startLabWith2(t: TestContext): Promise<InstallLab | undefined> {
  const containerd = await containerd2()
  if (containerd === undefined) {
    t.skip(MISSING)
    return undefined
  }
  const lab = await startInstallLab(t, [])
  return lab && { ...lab, programs: { ...lab.programs, containerd } }
}

/** The settings for mirrors that `containerd config default` of 2.x writes, and the paths of the test. */
function version3(configPath: string, more = '') {
  return ({ folder, socket }: { folder: string; socket: string }): string => `version = 3
root = '${join(folder, 'root')}'
state = '${join(folder, 'state')}'
[grpc]
  address = '${socket}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'native'
${more}  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '${configPath}'
[plugins.'io.containerd.transfer.v1.local']
  [[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
    platform = 'linux'
    snapshotter = 'native'
[plugins.'io.containerd.internal.v1.opt']
  path = '${join(folder, 'opt')}'
`
}

test('containerd 2.x ignores mirrors in a list of folders until an install with --write-config changes the list', async (t) => {
  const lab = await startLabWith2(t)
  if (lab === undefined) return
  const { agent } = lab
  const { host, socket, before, restart } = await startContainerd(
    t,
    lab,
    async (fresh) => {
      const output = await runRuntimeCommand('install', fresh, agent.address)
      assert.match(
        output,
        /^containerd: does not ask [\s\S]*to do: config_path in .* is a list of folders, which/,
      )
    },
    version3(LIST),
  )
  await assert.rejects(pullByCri(socket, REF), 'the registry itself cannot be reached')
  const ignored = await pullOnce('containerd', socket, t.signal)
  assert.equal(ignored.id, 'runtime-does-not-ask', ignored.found)
  assert.match(
    await runRuntimeCommand('install', host, agent.address, '--write-config'),
    /now: restart containerd/,
  )
  await restart()
  await assertPulledThroughAgent(lab, () => pullByCri(socket, REF))
  const asked = await pullOnce('containerd', socket, t.signal)
  assert.equal(asked.id, 'runtime-asks-agent', asked.found)
  await removeByCri(socket, REF)
  await runRuntimeCommand('uninstall', host, agent.address)
  assert.deepEqual(await host.snapshot(), before)
})

test('containerd 2.x with local image pull reads all folders of a list', async (t) => {
  const lab = await startLabWith2(t)
  if (lab === undefined) return
  const { socket } = await startContainerd(
    t,
    lab,
    async (fresh) => {
      assert.match(await runRuntimeCommand('install', fresh, lab.agent.address), /^containerd: asks /)
    },
    version3('/etc/containerd/certs.d:/etc/containerd/more.d', '  use_local_image_pull = true\n'),
  )
  await assertPulledThroughAgent(lab, () => pullByCri(socket, REF))
})
