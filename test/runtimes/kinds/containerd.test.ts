import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { test } from 'node:test'
import type { MirrorSettings } from '../../../src/runtimes/files/plan.ts'
import { install, show, uninstall } from '../../../src/runtimes/operations.ts'
import { Host } from '../host.ts'
import {
  CERTS,
  CONFIG,
  CONFIG_2,
  DEFAULT_HOSTS,
  hostsIn,
  MIRROR,
  MIRROR_URL,
  optionsFor,
  statesOf,
} from '../install-fixture.ts'
import { parseDocument } from '../toml-document.ts'

test('host folders of single registries, which hide the default, get the mirror too and keep their content', async (t) => {
  const single = '# local\nserver = "https://corp:5000"\n[host."https://near"]\n  skip_verify = true\n'
  const host = await Host.make(t, {
    [CONFIG]: CONFIG_2,
    [`${CERTS}/corp_5000_/hosts.toml`]: single,
    [`${CERTS}/docker.io/hosts.toml`]: 'server = "https://mirror.corp"',
    [`${CERTS}/index.docker.io/hosts.toml`]: 'server = "https://registry-1.docker.io"',
    [`${CERTS}/certs.only/ca.crt`]: 'PEM',
    [`${CERTS}/broken/hosts.toml`]: 'no toml',
  })
  await mkdir(host.at(`${CERTS}/empty`))
  const before = await host.snapshot()
  const [report] = await install(MIRROR, { ...optionsFor(host), runtimes: ['containerd'] })
  assert.deepEqual(statesOf(report === undefined ? [] : [report]), {
    [`${CERTS}/certs.only/hosts.toml`]: 'created',
    [`${CERTS}/corp_5000_/hosts.toml`]: 'changed',
    [`${CERTS}/docker.io/hosts.toml`]: 'changed',
    [`${CERTS}/empty/hosts.toml`]: 'created',
    [`${CERTS}/index.docker.io/hosts.toml`]: 'changed',
    [DEFAULT_HOSTS]: 'created',
  })
  assert.deepEqual(hostsIn(await host.read(`${CERTS}/corp_5000_/hosts.toml`)), [MIRROR_URL, 'https://near'])
  assert.deepEqual(parseDocument((await host.read(`${CERTS}/certs.only/hosts.toml`)) ?? '')['ca'], ['ca.crt'])
  assert.match(report?.todo.join() ?? '', /broken\/hosts\.toml:1 is not valid TOML/)
  assert.match(
    report?.notes.join() ?? '',
    /"https:\/\/mirror\.corp" as the server for docker\.io; the agent asks docker\.io/,
  )
  assert.equal(report?.notes.length, 1)
  await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(await host.snapshot(), before)
})

test('a mirror for some registries is added to their host folders only', async (t) => {
  const host = await Host.make(t, {
    [CONFIG]: CONFIG_2,
    [`${CERTS}/quay.io/hosts.toml`]: 'server = "https://quay.io"\n',
  })
  const before = await host.snapshot()
  const some: MirrorSettings = { ...MIRROR, only: ['ghcr.io', 'localhost:5000', 'quay.io'] }
  const only = { ...optionsFor(host), runtimes: ['containerd', 'docker'] as const }
  const reports = await install(some, only)
  assert.deepEqual(statesOf(reports), {
    [`${CERTS}/ghcr.io/hosts.toml`]: 'created',
    [`${CERTS}/localhost_5000_/hosts.toml`]: 'created',
    [`${CERTS}/quay.io/hosts.toml`]: 'changed',
    '/etc/docker/certs.d/ghcr.io/hosts.toml': 'created',
    '/etc/docker/certs.d/localhost_5000_/hosts.toml': 'created',
    '/etc/docker/certs.d/quay.io/hosts.toml': 'created',
  })
  assert.match(reports[1]?.notes.join() ?? '', /daemon\.json has mirrors only for docker\.io/)
  assert.equal(
    (await show(MIRROR, only))[0]?.pointsHere,
    true,
    'show uses the registries of the install record',
  )
  assert.deepEqual(statesOf(await install(MIRROR, { ...only, runtimes: ['containerd'] })), {
    [`${CERTS}/ghcr.io/hosts.toml`]: 'removed',
    [`${CERTS}/localhost_5000_/hosts.toml`]: 'removed',
    [`${CERTS}/quay.io/hosts.toml`]: 'current',
    [DEFAULT_HOSTS]: 'created',
  })
  await uninstall(MIRROR, only)
  assert.deepEqual(await host.snapshot(), before)
})

test('a host folder for one registry would hide the default, so it is refused', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DEFAULT_HOSTS]: '[host."https://near"]\n' })
  const before = await host.snapshot()
  const [report] = await install(
    { ...MIRROR, only: ['ghcr.io'] },
    { ...optionsFor(host), runtimes: ['containerd'] },
  )
  assert.match(report?.failure ?? '', /containerd uses .*_default for ghcr\.io now/)
  assert.deepEqual(await host.snapshot(), before)
})

test('of several folders, the default is added behind all host folders', async (t) => {
  const local = '[plugins."io.containerd.cri.v1.images"]\n  use_local_image_pull = true\n'
  const list = `[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/a:/b:/c"\n`
  const host = await Host.make(t, {
    [CONFIG]: `version = 3\n${local}${list}`,
    '/a/one.io/hosts.toml': '',
    '/b/two.io/hosts.toml': '# two',
  })
  const only = { ...optionsFor(host), runtimes: ['containerd'] as const }
  assert.deepEqual(Object.keys(statesOf(await install(MIRROR, only))), [
    '/a/one.io/hosts.toml',
    '/b/two.io/hosts.toml',
    '/b/_default/hosts.toml',
  ])
  await uninstall(MIRROR, only)
  await host.write('/b/_default/hosts.toml', '# all')
  await host.write('/c/three.io/hosts.toml', '# hidden')
  assert.deepEqual(Object.keys(statesOf(await install(MIRROR, only))), [
    '/a/one.io/hosts.toml',
    '/b/_default/hosts.toml',
    '/b/two.io/hosts.toml',
  ])
})

test('of several folders, the first is used that can be written and hides no other', async (t) => {
  const config = `version = 3\n[plugins.'io.containerd.cri.v1.images']\n  discard_unpacked_layers = true\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '${CERTS}:/etc/docker/certs.d'\n`
  const only = { runtimes: ['containerd'] as const }
  const host = await Host.make(t, { [CONFIG]: config, '/etc/docker': 'no folder' })
  const before = await host.snapshot()
  const [report] = await install(MIRROR, { ...optionsFor(host), ...only })
  assert.deepEqual([report?.pointsHere, report?.todo, report?.failure], [true, [], undefined])
  assert.deepEqual(Object.keys(statesOf(report === undefined ? [] : [report])), [DEFAULT_HOSTS])
  await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(await host.snapshot(), before)
  const other = await Host.make(t, { [CONFIG]: config.replace(CERTS, '/etc/file'), '/etc/file': 'no folder' })
  const second = await install(MIRROR, { ...optionsFor(other), ...only })
  assert.deepEqual(Object.keys(statesOf(second)), ['/etc/docker/certs.d/_default/hosts.toml'])
})

test('a list is reduced to one folder with --write-config, also where this containerd knows lists', async (t) => {
  const config = `version = 3\n[plugins.'io.containerd.cri.v1.images']\n  discard_unpacked_layers = true\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '${CERTS}:'\n`
  const host = await Host.make(t, { [CONFIG]: config })
  await install({ ...MIRROR, writeConfig: true }, { ...optionsFor(host), runtimes: ['containerd'] })
  assert.match((await host.read(CONFIG)) ?? '', /config_path = "\/etc\/containerd\/certs\.d"\n/)
})

test('a list of folders, which containerd 2.x takes for one name, is reported, and replaced with --write-config', async (t) => {
  const config = `version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '${CERTS}:/etc/docker/certs.d' # default\n`
  const host = await Host.make(t, { [CONFIG]: config })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['containerd'] as const }
  const [found] = await install(MIRROR, only)
  assert.equal(found?.pointsHere, false)
  assert.match(
    found?.todo.join() ?? '',
    /is a list of folders, which containerd 2\.1 and later take for the name of one folder/,
  )
  const [made] = await install({ ...MIRROR, writeConfig: true }, only)
  assert.deepEqual([made?.pointsHere, made?.todo], [true, []])
  assert.match(made?.followUp ?? '', /systemctl restart containerd/)
  const path = parseDocument((await host.read(CONFIG)) ?? '') as {
    plugins: Record<string, { registry: object }>
  }
  assert.deepEqual(path.plugins['io.containerd.cri.v1.images']?.registry, { config_path: CERTS })
  assert.equal(
    (await install(MIRROR, only))[0]?.pointsHere,
    true,
    'the permission to write the configuration holds until an uninstall',
  )
  await uninstall(MIRROR, only)
  assert.deepEqual(await host.snapshot(), before)
})

test('config_path is added to the imported file that would override it', async (t) => {
  const imported = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "x"\n'
  const host = await Host.make(t, {
    [CONFIG]: `imports = ["conf.d/*.toml"]\n${CONFIG_2}`,
    '/etc/containerd/conf.d/gpu.toml': imported,
    '/etc/containerd/conf.d/other.txt': 'x',
  })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['containerd'] as const }
  assert.match(
    (await install(MIRROR, only))[0]?.todo.join() ?? '',
    /not set in \/etc\/containerd\/conf\.d\/gpu\.toml/,
  )
  const [report] = await install({ ...MIRROR, writeConfig: true }, only)
  assert.equal(statesOf(report === undefined ? [] : [report])['/etc/containerd/conf.d/gpu.toml'], 'changed')
  assert.equal(report?.pointsHere, true)
  await uninstall(MIRROR, only)
  assert.deepEqual(await host.snapshot(), before)
})
