import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadSettings } from '../../src/config/load.ts'
import { SETTINGS, type SettingName } from '../../src/config/schema.ts'
import { type ShownSettings, settingsYaml, showSettings } from '../../src/config/shown-settings.ts'
import { folder, given } from './settings-file.ts'

const EVERYTHING = `listen: 127.0.0.1:1
upstreams:
  - namespace: docker.io
    host: [mirror.example:5000]
    username: u
    password: hunter2
    tagTtl: 5m
allow: [docker.io/library/*]
warm: [alpine:3, { image: nginx:1, pin: true }]
auth: { htpasswd: /etc/leat/users, rules: [{ who: [ci], actions: [pull] }] }
adminAuth: { tokenFile: /etc/leat/admin-token }
webhooks: [{ url: https://hooks.example/hunter2/x, events: [pull] }]
sources: [{ ociLayout: /srv/images }]
hosted: [team/**]
hostedRetention: [{ names: [team/**], keepFor: 30d }]
maxBytes: 50GiB
`

function shown({ settings }: ShownSettings, name: SettingName): [unknown, string] {
  const { value, from } = settings.find((one) => one.name === name) ?? assert.fail()
  return [value, from]
}

test('each setting has the value that counts, and says where it comes from', async () => {
  const sources = await given(EVERYTHING, {
    flags: { zone: 'a' },
    env: { LEAT_MAX_BYTES: '60GiB', LEAT_ZONE: 'b', LEAT_BOOTSTRAP: 'a:1, b:2' },
  })
  const all = await showSettings(sources)
  assert.deepEqual(
    all.settings.map(({ name }) => name),
    Object.keys(SETTINGS),
  )
  assert.equal(all.file, sources.defaultFile)
  assert.deepEqual(shown(all, 'listen'), ['127.0.0.1:1', `${sources.defaultFile}:1`])
  assert.deepEqual(shown(all, 'maxBytes'), ['60GiB', 'LEAT_MAX_BYTES'])
  assert.deepEqual(shown(all, 'zone'), ['a', '--zone'])
  assert.deepEqual(shown(all, 'bootstrap'), [['a:1', 'b:2'], 'LEAT_BOOTSTRAP'])
  assert.deepEqual(shown(all, 'drainTimeout'), ['25s', 'default'])
  assert.deepEqual(shown(all, 'advertise'), [null, 'default'])
  assert.deepEqual(shown(all, 'warm')[0], ['alpine:3', { image: 'nginx:1', pin: 'true' }])
  assert.deepEqual(shown(all, 'auth')[0], {
    htpasswd: '/etc/leat/users',
    rules: [{ who: ['ci'], actions: ['pull'] }],
  })
})

test('passwords, and paths of webhooks, are hidden', async () => {
  const env = { UPSTREAM_CREDENTIALS: '{"ghcr.io": {"username": "u", "password": "hunter2"}}' }
  const all = await showSettings(await given(EVERYTHING, { env }))
  assert.ok(!JSON.stringify(all).includes('hunter2'))
  assert.ok(!settingsYaml(all).includes('hunter2'))
  assert.deepEqual(shown(all, 'webhooks')[0], [{ url: 'https://hooks.example/***', events: ['pull'] }])
  assert.match(shown(all, 'upstreams')[1], /config\.yaml:3, and UPSTREAM_CREDENTIALS for ghcr\.io$/)
})

test('the text is a settings file with the same settings', async () => {
  const sources = await given(EVERYTHING.replace(/webhooks.*\n/, ''))
  const copy = join(folder, 'copy.yaml')
  await writeFile(copy, settingsYaml(await showSettings(sources)))
  const settings = await loadSettings({ flags: {}, env: {}, defaultFile: copy })
  assert.deepEqual(settings, await loadSettings(sources))
})

test('without sources every setting is a default', async () => {
  const all = await showSettings(await given(undefined))
  assert.equal(all.file, undefined)
  assert.deepEqual([...new Set(all.settings.map(({ from }) => from))], ['default'])
  assert.match(settingsYaml(all), /^# The settings of agent serve, without a file\.\n\n# Defaults:\n/)
})
