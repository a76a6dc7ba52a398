import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SETTINGS, type SettingName } from '../src/config/schema.ts'
import { createAgent, SettingsError, type SettingsObject } from '../src/index.ts'
import { addCleanup } from '../testkit/cleanup.ts'
import { startUpstream } from './agent/running-agent.ts'
import { problem } from './config/settings-file.ts'
import { folder } from './store/folder.ts'

test('a program starts an agent with the settings of a file, and has an admin address only if it asks for one', async (t) => {
  const upstream = await startUpstream(t)
  const digest = upstream.addBlob(randomBytes(1000))
  const settings = {
    data: await folder(t),
    listen: '127.0.0.1:0',
    maxBytes: '1GiB',
    minFree: 0,
    upstreams: [{ namespace: 'up.test', host: [upstream.host], tls: false, tagTtl: '0s' }],
  }
  const agent = createAgent(settings)
  addCleanup(t, () => agent.stop({ drainMs: 0 }))
  await agent.start()
  assert.equal(agent.addresses.admin, undefined)
  const url = `http://127.0.0.1:${agent.addresses.registry.port}/v2/up.test/app/blobs/${digest}`
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  await answer.arrayBuffer()
  await agent.stop({ drainMs: 0 })

  const other = createAgent({ ...settings, data: await folder(t), admin: '127.0.0.1:0' })
  addCleanup(t, () => other.stop({ drainMs: 0 }))
  await other.start()
  assert.ok((other.addresses.admin?.port ?? 0) > 0)
})

test('a program is told of all its mistakes at once, with the sentences that a file gets', async () => {
  const settings = {
    data: '/d',
    maxbytes: 1,
    drainTimeout: 25,
    warm: [{ image: 'alpine', platforms: ['x'] }],
  }
  const file = 'data: /d\nmaxbytes: 1\ndrainTimeout: 25\nwarm: [{ image: alpine, platforms: [x] }]\n'
  let mistakes: readonly string[] = []
  assert.throws(
    () => createAgent(settings as SettingsObject & { data: string }),
    (error: unknown) => {
      assert.ok(error instanceof SettingsError)
      mistakes = error.mistakes
      return true
    },
  )
  assert.equal(mistakes.length, 3)
  assert.match(mistakes[0] ?? '', /^unknown setting "maxbytes"; did you mean maxBytes\?/)
  assert.match(mistakes[1] ?? '', /^drainTimeout is "25"; expected a duration/)
  assert.match(mistakes[2] ?? '', /^warm\[0\]\.platforms\[0\] is "x"/)
  assert.equal((await problem(file)).replace(/^FILE:\d+: /, ''), mistakes[0])
})

test('values of a wrong type are refused, and no password is repeated', () => {
  const refused = (settings: object, expected: RegExp) =>
    assert.throws(() => createAgent({ data: '/d', ...settings }), expected)
  refused(
    { listen: { host: '127.0.0.1', port: 5050 } },
    /^SettingsError: listen is a map; expected host:port/,
  )
  refused({ warm: 'alpine' }, /^SettingsError: warm/)
  refused({ allow: null }, /^SettingsError: allow is null; expected/)
  refused({ upstreams: [() => 1] }, /^SettingsError: upstreams\[0\] is a function/)
  refused({ data: new Date() }, /^SettingsError: data is an object of a class/)
  refused({ upstreams: [{ namespace: 'a.example', password: 'hunter2' }] }, /^(?!.*hunter2)/)
  refused({ listen: '127.0.0.1:5050', admin: '127.0.0.1:5050' }, /^SettingsError: listen and admin are both/)
})

test('a program may give what a file may give, and nothing else', () => {
  const typed: Required<{ [Name in keyof SettingsObject]: true }> = Object.fromEntries(
    (Object.keys(SETTINGS) as SettingName[])
      .filter((name) => SETTINGS[name].inFile)
      .map((name) => [name, true]),
  ) as Required<{ [Name in keyof SettingsObject]: true }>
  const outside: readonly SettingName[] = ['config', 'docker', 'adminTokenFile', 'adminCa']
  assert.deepEqual(
    Object.keys(typed),
    Object.keys(SETTINGS).filter((name) => !(outside as readonly string[]).includes(name)),
  )
})
