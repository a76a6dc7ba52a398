import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { loadSetting, loadSettings, type SettingSources } from '../../src/config/load.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'
import { folder, given, problem } from './settings-file.ts'

test('a flag overrides the environment, which overrides the file, which overrides the default', async () => {
  const yaml = 'data: /from/file\nlogLevel: debug\nmaxBytes: 1GiB\n'
  const settings = await loadSettings(
    await given(yaml, {
      env: { LEAT_DATA: '/from/env', LEAT_LOG_LEVEL: 'warn', HOME: '/root' },
      flags: { data: '/from/flag' },
    }),
  )
  assert.equal(settings.data, '/from/flag')
  assert.equal(settings.logLevel, 'warn')
  assert.deepEqual(settings.maxBytes, { bytes: 2 ** 30 })
  assert.equal(settings.defaultNamespace, 'docker.io')
})

test('an empty variable counts as unset', async () => {
  const settings = await loadSettings(
    await given('data: /from/file\n', { env: { LEAT_DATA: '', UPSTREAM_CREDENTIALS: '' } }),
  )
  assert.equal(settings.data, '/from/file')
})

test('a list comes from repeated flags, from commas, or from the file', async () => {
  const patterns = ['docker.io/library/*', 'ghcr.io/acme/**']
  const sources: Partial<SettingSources>[] = [
    { flags: { allow: patterns } },
    { env: { LEAT_ALLOW: patterns.join(', ') } },
  ]
  for (const more of sources)
    assert.deepEqual((await loadSettings(await given(undefined, more))).allow, patterns)
  const fromFile = await loadSettings(await given(`allow: [${patterns.map((p) => `"${p}"`).join(', ')}]\n`))
  assert.deepEqual(fromFile.allow, patterns)
  assert.deepEqual((await loadSettings(await given('allow: []\n'))).allow, [])
})

test('the variables that Kubernetes sets for a service of that name are not mistakes', async () => {
  const env = {
    LEAT_SERVICE_HOST: '10.0.0.1',
    LEAT_SERVICE_PORT: '5050',
    LEAT_SERVICE_PORT_REGISTRY: '5050',
    LEAT_PORT: 'tcp://10.0.0.1:5050',
    LEAT_PORT_5050_TCP: 'tcp://10.0.0.1:5050',
    LEAT_PORT_5050_TCP_ADDR: '10.0.0.1',
    LEAT_ADMIN_SERVICE_HOST: '10.0.0.2',
    LEAT_ADMIN_PORT: 'tcp://10.0.0.2:5051',
  }
  assert.equal((await loadSettings(await given(undefined, { env }))).listen.port, 5050)
})

test('a mistake in a source is found even if another source overrides it', async () => {
  assert.match(await problem('maxBytes: lots\n', { flags: { 'max-bytes': '1GiB' } }), /^FILE:1: maxBytes/)
})

test('a file that was named must exist and be readable', async () => {
  assert.match(
    await problem(undefined, { flags: { config: join(folder, 'none.yaml') } }),
    /none\.yaml does not exist/,
  )
  assert.match(await problem(undefined, { env: { LEAT_CONFIG: folder } }), /^cannot read .*it is a folder/)
  await writeFile(join(folder, 'huge.yaml'), `# ${'x'.repeat(2 ** 20)}`)
  assert.match(await problem(undefined, { flags: { config: join(folder, 'huge.yaml') } }), /larger than 1MiB/)
})

test('addresses at which two servers cannot listen at once are refused', async () => {
  for (const [listen, admin, told] of [
    ['127.0.0.1:5050', '127.0.0.1:5050', 'listen and admin are both 127.0.0.1:5050; give each'],
    [
      '0.0.0.0:5050',
      '127.0.0.1:5050',
      'listen and admin collide: 0.0.0.0:5050 and 127.0.0.1:5050; give each a port of its own',
    ],
  ] as const) {
    assert.ok((await problem(`listen: ${listen}\nadmin: ${admin}\n`)).includes(told))
  }
})

test('a certificate without a key is refused', async () => {
  assert.match(await problem('tlsCert: a.pem\n'), /both --tls-cert and --tls-key/)
  const both = await loadSettings(await given('tlsCert: a.pem\n', { flags: { 'tls-key': 'k.pem' } }))
  assert.deepEqual([both.tlsCert, both.tlsKey], ['a.pem', 'k.pem'])
})

test('settings can be printed whole without giving a password away, and cannot be changed', async () => {
  const settings = await loadSettings(
    await given('upstreams:\n  - {namespace: a.io, username: u, password: hunter2}\n', {
      env: { UPSTREAM_CREDENTIALS: '{"b.io": {"username": "u", "password": "hunter3"}}' },
    }),
  )
  for (const printed of [inspect(settings, { depth: 20, showHidden: true }), JSON.stringify(settings)]) {
    assert.ok(!/hunter[23]/.test(printed), printed)
    assert.match(printed, /a\.io/)
  }
  const frozen = (value: unknown): boolean =>
    value === null ||
    typeof value !== 'object' ||
    (Object.isFrozen(value) && Object.values(value).every(frozen))
  assert.ok(frozen(settings))
})

test('one setting is loaded without reading a file that is not needed for it', async () => {
  const broken = await given('nonsense: [\n', { flags: { admin: '127.0.0.1:9' } })
  assert.deepEqual(await loadSetting('admin', broken), { host: '127.0.0.1', port: 9 })
  await assert.rejects(loadSetting('admin', { ...broken, flags: {} }), SettingsError)
  const fromFile = await given('admin: 127.0.0.1:7\n')
  assert.deepEqual(await loadSetting('admin', fromFile), { host: '127.0.0.1', port: 7 })
})
