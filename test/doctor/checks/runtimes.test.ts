import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { judgeDocker } from '../../../src/doctor/checks/docker.ts'
import { judgePodman } from '../../../src/doctor/checks/podman.ts'
import { lookAtRuntimes } from '../../../src/doctor/checks/runtimes.ts'
import { install } from '../../../src/runtimes/settings.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { Host, WANTED } from '../../runtimes/host.ts'
import { told } from '../told.ts'

const AGENT = { host: '127.0.0.1', port: 5050 }
const CONFIG = '/etc/containerd/config.toml'
const CERTS = '/etc/containerd/certs.d'
const WITH_PATH = `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`
const ADDRESS = '127.0.0.1:5050'

async function host(t: TestContext, files: Readonly<Record<string, string>>) {
  const made = await Host.make(t, files)
  return {
    made,
    install: () => install(WANTED, { root: made.root, runtimes: undefined, isRehearsal: false }),
    find: ({ isTls = false } = {}) =>
      lookAtRuntimes(
        { root: made.root, containerdConfig: CONFIG },
        { address: AGENT, isTls, signal: new AbortController().signal },
      ),
  }
}

test('a host without a runtime is said to be so', async (t) => {
  const { find } = await host(t, {})
  const [found] = await find()
  assert.equal(found?.state, 'not-looked-at')
  assert.match(found.found, /^no container runtime is found below/)
})

test('a runtime that does not ask the agent is a problem, beside another that does a warning', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: WITH_PATH })
  const [found] = await find()
  assert.equal(found?.state, 'problem')
  assert.equal(found.found, `the settings of containerd do not name ${ADDRESS}`)
  assert.equal(found.todo, 'agent runtime install')
  await all()
  assert.deepEqual(told(await find()), [`ok: the settings of containerd name ${ADDRESS} first`])
  await made.write('/etc/docker/daemon.json', '{}')
  assert.deepEqual(told(await find()), [
    `ok: the settings of containerd name ${ADDRESS} first`,
    `warning: the settings of Docker do not name ${ADDRESS}`,
  ])
})

test('mirrors that containerd is not told to look for are ignored, and that is a problem', async (t) => {
  for (const [config, todo] of [
    ['version = 2\n', /config_path is not set in .*, so containerd does not look for mirrors/],
    [
      `version = 3\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`,
      /has it under plugins\."io\.containerd\.grpc\.v1\.cri", which version 3 of that file does not know/,
    ],
    [
      `version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "${CERTS}:/etc/docker/certs.d"\n`,
      /names 2 folders, which containerd 2\.1 and later take for the name of one/,
    ],
  ] as const) {
    const { find, install: all } = await host(t, { [CONFIG]: config })
    await all()
    const [found] = await find()
    assert.equal(found?.state, 'problem')
    assert.equal(found.found, `the settings of containerd name ${ADDRESS}, but are ignored`)
    assert.match(found.todo ?? '', todo)
  }
})

test('a file for one registry hides the one for all', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: WITH_PATH })
  await all()
  await made.write(`${CERTS}/ghcr.io/hosts.toml`, 'server = "https://ghcr.io"\n')
  await made.write(`${CERTS}/registry.corp_5000_/hosts.toml`, '[host."https://mirror.corp"]\n')
  const found = await find()
  assert.deepEqual(told(found), [
    `problem: ${CERTS}/ghcr.io/hosts.toml does not name ${ADDRESS}, and hides the file that does`,
    `problem: ${CERTS}/registry.corp_5000_/hosts.toml does not name ${ADDRESS}, and hides the file that does`,
  ])
  assert.equal(found[1]?.means, 'pulls of registry.corp:5000 images go past the agent')
  await all()
  assert.deepEqual(told(await find()), [`ok: the settings of containerd name ${ADDRESS} first`])
})

test('a runtime that speaks HTTP to an agent that speaks TLS is a problem, until it is told again', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: WITH_PATH, '/etc/docker/x': '' })
  await all()
  assert.deepEqual(told(await find({ isTls: true })), [
    `problem: the settings of containerd do not name https://${ADDRESS}`,
    `problem: the settings of Docker do not name https://${ADDRESS}`,
  ])
  const tls = { ca: makeAuthority().ca }
  await install({ ...WANTED, tls }, { root: made.root, runtimes: undefined, isRehearsal: false })
  assert.deepEqual(told(await find({ isTls: true })), [
    `ok: the settings of containerd name https://${ADDRESS} first`,
    `ok: the settings of Docker name https://${ADDRESS} first`,
  ])
})

test('mirrors that others have named themselves count, and those that they have not are missed', async (t) => {
  const mirror = `[[registry]]\nlocation = "ghcr.io"\n[[registry.mirror]]\nlocation = "${ADDRESS}/ghcr.io"\n`
  const { find } = await host(t, { '/etc/containers/registries.conf': mirror })
  assert.deepEqual(told(await find()), [
    `problem: /etc/containers/registries.conf.d/50-leat.conf does not point at ${ADDRESS}, where others of CRI-O and podman do`,
  ])
})

test('settings that cannot be understood are a problem', async (t) => {
  const { find } = await host(t, { [CONFIG]: 'version = 2\n[plugins\n' })
  const [found] = await find()
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /^the settings of containerd cannot be read: \/etc\/containerd\/config\.toml:2 /)
})

test('what dockerd itself has counts', () => {
  const judged = (text: string) => told(judgeDocker({ kind: 'text', text }, { address: ADDRESS }))
  assert.deepEqual(judged(`["http://${ADDRESS}/"]\n`), [`ok: dockerd itself says that it asks ${ADDRESS}`])
  const lacking = [`problem: the running dockerd does not have ${ADDRESS} among its mirrors`]
  assert.deepEqual(judged('null\n'), lacking)
  assert.deepEqual(judged(`["http://1${ADDRESS}/"]`), lacking)
  assert.deepEqual(judged('what'), ['not-looked-at: dockerd does not tell which mirrors it has'])
  assert.deepEqual(told(judgeDocker({ kind: 'failed', why: 'permission denied' }, { address: ADDRESS })), [
    'not-looked-at: dockerd does not tell which mirrors it has: permission denied',
  ])
  assert.deepEqual(judgeDocker({ kind: 'absent' }, { address: ADDRESS }), [])
})

test('what podman itself has counts', () => {
  const judged = (value: unknown) =>
    told(judgePodman({ kind: 'text', text: JSON.stringify(value) }, { address: ADDRESS }))
  const mirror = (Location: string) => ({ Prefix: 'docker.io', Mirrors: [{ Location, Insecure: true }] })
  assert.deepEqual(judged({ 'docker.io': mirror(`${ADDRESS}/docker.io`), search: ['docker.io'] }), [
    `ok: podman itself says that it asks ${ADDRESS} (docker.io)`,
  ])
  const lacking = [`problem: podman has no mirror at ${ADDRESS}, though its files do`]
  assert.deepEqual(judged({ 'docker.io': mirror('mirror.corp/docker.io'), search: [] }), lacking)
  assert.deepEqual(judged({}), lacking)
  assert.deepEqual(judged(null), lacking)
  assert.deepEqual(judged('?'), ['not-looked-at: podman does not tell which mirrors it has'])
})
