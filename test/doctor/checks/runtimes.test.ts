import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { judgePodman } from '../../../src/doctor/checks/runtimes/podman.ts'
import { checkRuntimes } from '../../../src/doctor/checks/runtimes.ts'
import type { Runtime } from '../../../src/runtimes/files/plan.ts'
import { install } from '../../../src/runtimes/operations.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { Host } from '../../runtimes/host.ts'
import { CERTS, CONFIG, CONFIG_2, MIRROR } from '../../runtimes/install-fixture.ts'
import { findingLines } from '../finding-lines.ts'

const AGENT = { host: '127.0.0.1', port: 5050 }
const ADDRESS = '127.0.0.1:5050'

async function host(t: TestContext, files: Readonly<Record<string, string>>) {
  const made = await Host.make(t, files)
  return {
    made,
    install: () => install(MIRROR, { root: made.root, runtimes: undefined, isDryRun: false }),
    find: ({ isTls = false, runtimes = undefined as readonly Runtime[] | undefined } = {}) =>
      checkRuntimes(
        { root: made.root, containerdConfig: CONFIG, runtimes },
        { address: AGENT, isTls, signal: new AbortController().signal },
      ),
  }
}

test('a host without a runtime is not checked', async (t) => {
  const { find } = await host(t, {})
  const [found] = await find()
  assert.equal(found?.state, 'not-checked')
  assert.match(found.found, /^no container runtime was found below/)
})

test('a runtime that does not use the agent is a note, and a problem if it is expected to', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: CONFIG_2 })
  assert.deepEqual(findingLines(await find()), [
    `note: the settings of containerd do not use ${ADDRESS} as a mirror`,
    `warning: no runtime of this machine uses ${ADDRESS} as a mirror`,
  ])
  const [found] = await find({ runtimes: ['containerd'] })
  assert.equal(found?.state, 'problem')
  assert.equal(found.id, 'runtime-unused')
  assert.equal(found.todo, 'agent runtime install')
  await all()
  assert.deepEqual(findingLines(await find()), [
    `ok: the settings of containerd use ${ADDRESS} as the first mirror`,
  ])
  await made.write('/etc/docker/daemon.json', '{}')
  assert.deepEqual(findingLines(await find()), [
    `ok: the settings of containerd use ${ADDRESS} as the first mirror`,
    `note: the settings of Docker do not use ${ADDRESS} as a mirror`,
  ])
})

test('mirrors that containerd ignores because of its config_path are a problem', async (t) => {
  for (const [config, todo] of [
    ['version = 2\n', /config_path is not set in .*, so containerd does not look for mirrors/],
    [
      `version = 3\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`,
      /has config_path under plugins\."io\.containerd\.grpc\.v1\.cri", which version 3 of that file does not know/,
    ],
    [
      `version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "${CERTS}:/etc/docker/certs.d"\n`,
      /is a list of folders, which containerd 2\.1 and later take for the name of one folder/,
    ],
  ] as const) {
    const { find, install: all } = await host(t, { [CONFIG]: config })
    await all()
    const [found] = await find()
    assert.equal(found?.state, 'problem')
    assert.equal(found.found, `the settings of containerd use ${ADDRESS} as a mirror, but are ignored`)
    assert.match(found.todo ?? '', todo)
  }
})

test('a file for one registry hides the file for all registries', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: CONFIG_2 })
  await all()
  await made.write(`${CERTS}/ghcr.io/hosts.toml`, 'server = "https://ghcr.io"\n')
  await made.write(`${CERTS}/registry.corp_5000_/hosts.toml`, '[host."https://mirror.corp"]\n')
  const found = await find()
  assert.deepEqual(findingLines(found), [
    `problem: ${CERTS}/ghcr.io/hosts.toml does not use ${ADDRESS} as a mirror, and hides the file that does`,
    `problem: ${CERTS}/registry.corp_5000_/hosts.toml does not use ${ADDRESS} as a mirror, and hides the file that does`,
  ])
  assert.equal(found[1]?.means, 'pulls of registry.corp:5000 images bypass the agent')
  await all()
  assert.deepEqual(findingLines(await find()), [
    `ok: the settings of containerd use ${ADDRESS} as the first mirror`,
  ])
})

test('a runtime that speaks HTTP to an agent with TLS is a problem until the next install', async (t) => {
  const { find, made, install: all } = await host(t, { [CONFIG]: CONFIG_2, '/etc/docker/x': '' })
  await all()
  assert.deepEqual(findingLines(await find({ isTls: true })), [
    `problem: the settings of containerd do not use https://${ADDRESS} as a mirror`,
    `problem: the settings of Docker do not use https://${ADDRESS} as a mirror`,
    `warning: no runtime of this machine uses https://${ADDRESS} as a mirror`,
  ])
  const tls = { ca: makeAuthority().ca }
  await install({ ...MIRROR, tls }, { root: made.root, runtimes: undefined, isDryRun: false })
  assert.deepEqual(findingLines(await find({ isTls: true })), [
    `ok: the settings of containerd use https://${ADDRESS} as the first mirror`,
    `ok: the settings of Docker use https://${ADDRESS} as the first mirror`,
  ])
})

test('mirrors that others have added count, and missing ones are a problem', async (t) => {
  const mirror = `[[registry]]\nlocation = "ghcr.io"\n[[registry.mirror]]\nlocation = "${ADDRESS}/ghcr.io"\n`
  const { find } = await host(t, { '/etc/containers/registries.conf': mirror })
  assert.deepEqual(findingLines(await find()), [
    `problem: /etc/containers/registries.conf.d/50-leat.conf does not use ${ADDRESS} as a mirror, though other files of CRI-O and podman do`,
  ])
})

test('settings that are not valid are a problem', async (t) => {
  const { find } = await host(t, { [CONFIG]: 'version = 2\n[plugins\n' })
  const [found] = await find()
  assert.equal(found?.state, 'problem')
  assert.match(found.found, /^the settings of containerd cannot be read: \/etc\/containerd\/config\.toml:2 /)
})

test('the mirrors that podman reports are judged', () => {
  const judged = (value: unknown) =>
    findingLines(judgePodman({ kind: 'output', text: JSON.stringify(value) }, { address: ADDRESS }))
  const mirror = (Location: string) => ({ Prefix: 'docker.io', Mirrors: [{ Location, Insecure: true }] })
  assert.deepEqual(judged({ 'docker.io': mirror(`${ADDRESS}/docker.io`), search: ['docker.io'] }), [
    `ok: podman uses ${ADDRESS} as a mirror (docker.io)`,
  ])
  const missing = [`problem: podman does not use ${ADDRESS} as a mirror, though the settings of the host do`]
  assert.deepEqual(judged({ 'docker.io': mirror('mirror.corp/docker.io'), search: [] }), missing)
  assert.deepEqual(judged({}), missing)
  assert.deepEqual(judged(null), missing)
  assert.deepEqual(judged('?'), ['not-checked: podman does not report its mirrors'])
})
