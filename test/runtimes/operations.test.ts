import assert from 'node:assert/strict'
import { chmod, mkdir, rm, stat, symlink } from 'node:fs/promises'
import { test } from 'node:test'
import { RuntimeFailure } from '../../src/runtimes/files/failure.ts'
import { INSTALL_RECORD_PATH } from '../../src/runtimes/files/install-record.ts'
import { install, show, uninstall } from '../../src/runtimes/operations.ts'
import { Host } from './host.ts'
import {
  CERTS,
  CONFIG,
  CONFIG_2,
  DAEMON,
  DEFAULT_HOSTS,
  DOCKER_HOSTS,
  DROP_IN,
  hostsIn,
  MIRROR,
  MIRROR_URL,
  optionsFor,
  statesOf,
} from './install-fixture.ts'

test('an install of three runtimes is repeated without a change, and an uninstall restores the host', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, '/etc/docker/key.json': '{}' })
  const before = await host.snapshot()
  const first = await install(MIRROR, optionsFor(host))
  assert.deepEqual(statesOf(first), {
    [DEFAULT_HOSTS]: 'created',
    [DROP_IN]: 'created',
    [DAEMON]: 'created',
    [DOCKER_HOSTS]: 'created',
  })
  assert.ok(first.every(({ pointsHere, todo }) => pointsHere === true && todo.length === 0))
  assert.match(first[2]?.followUp ?? '', /systemctl reload docker/)
  const installed = await host.snapshot()

  const second = await install(MIRROR, optionsFor(host))
  assert.deepEqual(new Set(Object.values(statesOf(second))), new Set(['current']))
  assert.ok(second.every(({ followUp }) => followUp === undefined))
  assert.deepEqual(await host.snapshot(), installed)

  assert.deepEqual(
    new Set(Object.values(statesOf(await uninstall(MIRROR, optionsFor(host))))),
    new Set(['removed']),
  )
  assert.deepEqual(await host.snapshot(), before)
  assert.deepEqual(statesOf(await uninstall(MIRROR, optionsFor(host))), {})
})

test('an install with another address replaces the one before', async (t) => {
  const original = '{\n  "debug": true\n}\n'
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: original })
  const before = await host.snapshot()
  await install(MIRROR, optionsFor(host))
  const moved = { ...MIRROR, address: '127.0.0.1:6060' }
  assert.deepEqual(
    new Set(Object.values(statesOf(await install(moved, optionsFor(host))))),
    new Set(['changed']),
  )
  assert.deepEqual(hostsIn(await host.read(DEFAULT_HOSTS)), ['http://127.0.0.1:6060'])
  assert.deepEqual(JSON.parse((await host.read(DAEMON)) ?? ''), {
    debug: true,
    'registry-mirrors': ['http://127.0.0.1:6060'],
  })
  assert.ok(!(await host.read(DROP_IN))?.includes('5050'))
  await uninstall(moved, optionsFor(host))
  assert.deepEqual(await host.snapshot(), before)
})

test('a mirror that others have written themselves is neither recorded nor removed', async (t) => {
  const files = {
    [CONFIG]: CONFIG_2,
    [DEFAULT_HOSTS]: `[host."${MIRROR_URL}"]\n  capabilities = ["pull", "resolve"]\n`,
    [DAEMON]: `{ "registry-mirrors": ["${MIRROR_URL}"] }\n`,
    [DOCKER_HOSTS]: `[host."${MIRROR_URL}"]\n  capabilities = ["pull", "resolve"]\n`,
  }
  const host = await Host.make(t, files)
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['containerd', 'docker'] as const }
  const reports = await install(MIRROR, only)
  assert.ok(reports.every(({ pointsHere }) => pointsHere === true))
  assert.deepEqual(await host.snapshot(), before)
  assert.deepEqual(statesOf(await uninstall(MIRROR, only)), {})
  assert.deepEqual(await host.snapshot(), before)
})

test('symbolic links are followed inside the root, and mode and owner are preserved', async (t) => {
  const host = await Host.make(t, { '/data/containerd/config.toml': CONFIG_2, '/data/daemon.json': '{}' })
  await mkdir(host.at('/etc/docker'), { recursive: true })
  await symlink('/data/containerd', host.at('/etc/containerd'))
  await symlink('../../../../../data/daemon.json', host.at('/etc/docker/daemon.json'))
  await chmod(host.at('/data/daemon.json'), 0o640)
  const before = await host.snapshot()
  await install(MIRROR, optionsFor(host))
  assert.deepEqual(hostsIn(await host.read('/data/containerd/certs.d/_default/hosts.toml')), [MIRROR_URL])
  assert.match((await host.read('/data/daemon.json')) ?? '', /5050/)
  assert.equal((await stat(host.at('/data/daemon.json'))).mode & 0o777, 0o640)
  assert.equal((await stat(host.at(INSTALL_RECORD_PATH))).mode & 0o777, 0o600)
  await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(await host.snapshot(), before)
})

test('a runtime that fails does not stop the others', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: '{ oops' })
  const [one, two, three] = await install(MIRROR, optionsFor(host))
  assert.deepEqual([one?.pointsHere, two?.pointsHere, three?.pointsHere], [true, true, false])
  assert.match(three?.failure ?? '', /daemon\.json is not JSON, so Docker cannot read it either/)
  assert.equal(await host.read(DAEMON), '{ oops')
})

test('what could not be written is not in the install record, and an uninstall restores the rest', async (t) => {
  const host = await Host.make(t, {
    [CONFIG]: CONFIG_2,
    [`${CERTS}/one.io/hosts.toml`]: '# one',
    // Its `hosts.toml` cannot be created: the file of the new content has the same name.
    [`${CERTS}/two.io/hosts.toml.leat-${process.pid}/x`]: '',
  })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['containerd'] as const }
  const [report] = await install(MIRROR, only)
  assert.match(report?.failure ?? '', /cannot write .*two\.io\/hosts\.toml/)
  const record = (await host.read(INSTALL_RECORD_PATH)) ?? ''
  assert.match(record, /one\.io/)
  assert.doesNotMatch(record, /two\.io|_default/)
  const [restored] = await uninstall(MIRROR, only)
  assert.equal(restored?.failure, undefined)
  assert.deepEqual(await host.snapshot(), before)
})

test('an install record that names what was never there restores the rest', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2 })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['containerd'] as const }
  await install(MIRROR, only)
  const record = JSON.parse((await host.read(INSTALL_RECORD_PATH)) ?? '')
  const [entry] = record.files
  record.files.unshift({ ...entry, path: '/etc/docker/certs.d/_default/hosts.toml' })
  record.folders.push('/etc/docker', '/etc/docker/certs.d', '/etc/docker/certs.d/_default')
  await host.write(INSTALL_RECORD_PATH, JSON.stringify(record))
  const [restored] = await uninstall(MIRROR, only)
  assert.equal(restored?.failure, undefined)
  assert.deepEqual(await host.snapshot(), before)
})

test('only installed runtimes are configured, and a host without any is an error', async (t) => {
  const host = await Host.make(t, { '/usr/bin/podman': '' })
  const found = { root: host.root, runtimes: undefined, isDryRun: false }
  assert.deepEqual(
    (await install(MIRROR, found)).map(({ runtime }) => runtime),
    ['crio'],
  )
  await uninstall(MIRROR, found)
  await rm(host.at('/usr'), { recursive: true })
  await assert.rejects(
    install(MIRROR, found),
    (error) => error instanceof RuntimeFailure && /name one with --runtime/.test(error.message),
  )
})

test('a dry run and show write nothing', async (t) => {
  const host = await Host.make(t, { [CONFIG]: 'version = 2\n', [DAEMON]: '{}' })
  const before = await host.snapshot()
  const planned = await install({ ...MIRROR, writeConfig: true }, { ...optionsFor(host), isDryRun: true })
  assert.deepEqual(statesOf(planned), {
    [CONFIG]: 'changed',
    [DEFAULT_HOSTS]: 'created',
    [DROP_IN]: 'created',
    [DAEMON]: 'changed',
    [DOCKER_HOSTS]: 'created',
  })
  assert.ok((await show(MIRROR, optionsFor(host))).every(({ pointsHere }) => pointsHere === false))
  assert.deepEqual(await host.snapshot(), before)
})
