import assert from 'node:assert/strict'
import { appendFile, mkdir, rm } from 'node:fs/promises'
import { test } from 'node:test'
import { INSTALL_RECORD_PATH } from '../../src/runtimes/files/install-record.ts'
import { install, uninstall } from '../../src/runtimes/operations.ts'
import { Host } from './host.ts'
import {
  CERTS,
  CONFIG,
  CONFIG_2,
  DAEMON,
  DEFAULT_HOSTS,
  DOCKER_HOSTS,
  DROP_IN,
  MIRROR,
  MIRROR_URL,
  optionsFor,
  statesOf,
} from './install-fixture.ts'

test('after others have changed the files, only the own part is removed, and the report says so', async (t) => {
  const files = {
    [CONFIG]: 'version = 2\n',
    [`${CERTS}/docker.io/hosts.toml`]: 'server = "https://registry-1.docker.io"',
    [DAEMON]: '{\n  "debug": true\n}\n',
  }
  const host = await Host.make(t, files)
  await install({ ...MIRROR, writeConfig: true }, optionsFor(host))
  await appendFile(host.at(DOCKER_HOSTS), '[host."https://other"]\n')
  await appendFile(host.at(CONFIG), '[debug]\n  level = "debug"\n')
  await appendFile(host.at(`${CERTS}/docker.io/hosts.toml`), '\n[host."https://new"]\n')
  await appendFile(host.at(DEFAULT_HOSTS), '[host."https://other"]\n')
  await appendFile(host.at(DROP_IN), '[[registry]]\nlocation = "theirs.example"\n')
  await host.write(
    DAEMON,
    `{\n  "debug": false,\n  "registry-mirrors": ["${MIRROR_URL}", "https://new"]\n}\n`,
  )
  const reports = await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(new Set(Object.values(statesOf(reports))), new Set(['cut']))
  assert.equal(await host.read(CONFIG), 'version = 2\n[debug]\n  level = "debug"\n')
  assert.equal(
    await host.read(`${CERTS}/docker.io/hosts.toml`),
    `${files[`${CERTS}/docker.io/hosts.toml`]}\n[host."https://new"]\n`,
  )
  assert.equal(await host.read(DEFAULT_HOSTS), '[host."https://other"]\n')
  assert.equal(await host.read(DROP_IN), '[[registry]]\nlocation = "theirs.example"\n')
  assert.equal(await host.read(DAEMON), '{\n  "debug": false,\n  "registry-mirrors": ["https://new"]\n}\n')
  assert.equal(await host.read(INSTALL_RECORD_PATH), undefined)
})

test('files that others have restored, deleted or damaged are reported as such', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: '{}', [`${CERTS}/a/hosts.toml`]: '# a\n' })
  await install(MIRROR, optionsFor(host))
  await host.write(DAEMON, '{}')
  await rm(host.at(DROP_IN))
  const damaged = (await host.read(DEFAULT_HOSTS))?.replace('# leat: end\n', '') ?? ''
  await host.write(DEFAULT_HOSTS, damaged)
  const reports = await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(statesOf(reports), {
    [`${CERTS}/a/hosts.toml`]: 'restored',
    [DROP_IN]: 'gone',
    [DAEMON]: 'restored',
    [DOCKER_HOSTS]: 'removed',
  })
  assert.match(reports[0]?.failure ?? '', /_default\/hosts\.toml lacks some of the comments/)
  assert.equal(await host.read(DEFAULT_HOSTS), damaged)
})

test('recorded files are restored even if the configuration of containerd is no longer valid', async (t) => {
  const host = await Host.make(t, { [CONFIG]: 'version = 2\n' })
  await install({ ...MIRROR, writeConfig: true }, { ...optionsFor(host), runtimes: ['containerd'] })
  await appendFile(host.at(CONFIG), 'oops\n')
  const [report] = await uninstall(MIRROR, optionsFor(host))
  assert.deepEqual(report?.failure, undefined)
  assert.equal(await host.read(CONFIG), 'version = 2\noops\n')
  assert.equal(await host.read(DEFAULT_HOSTS), undefined)
})

test('an interrupted write is undone as well', async (t) => {
  const host = await Host.make(t, { [DAEMON]: '{ "debug": true }' })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['docker'] as const }
  await install(MIRROR, only)
  const first = (await host.read(DAEMON)) ?? ''
  // A folder at the path of the temporary file makes the write fail after the record is saved.
  await mkdir(`${host.at(DAEMON)}.leat-${process.pid}`)
  const [failed] = await install({ ...MIRROR, address: '127.0.0.1:6060' }, only)
  assert.match(failed?.failure ?? '', /cannot write \/etc\/docker\/daemon\.json/)
  await rm(`${host.at(DAEMON)}.leat-${process.pid}`, { recursive: true })
  assert.equal(await host.read(DAEMON), first)
  await uninstall(MIRROR, only)
  assert.deepEqual(await host.snapshot(), before)
})

test('without an install record, the own part is found by its markers', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [`${CERTS}/a/hosts.toml`]: '# a' })
  await install(MIRROR, { ...optionsFor(host), runtimes: ['containerd', 'crio'] })
  await rm(host.at('/var'), { recursive: true })
  assert.deepEqual(
    new Set(
      Object.values(
        statesOf(await install(MIRROR, { ...optionsFor(host), runtimes: ['containerd', 'crio'] })),
      ),
    ),
    new Set(['current']),
  )
  await rm(host.at('/var'), { recursive: true })
  await uninstall(MIRROR, optionsFor(host))
  assert.equal(await host.read(`${CERTS}/a/hosts.toml`), '# a')
  assert.equal(await host.read(DEFAULT_HOSTS), undefined)
  assert.equal(await host.read(DROP_IN), undefined)
})
