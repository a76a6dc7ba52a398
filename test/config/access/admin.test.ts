import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSetting, loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

test('the admin address may have tokens and a certificate', async () => {
  const yaml = 'adminAuth: { tokenFile: /t, readTokenFile: /r }\nadminTls: { cert: /c, key: /k }\n'
  const { adminAuth, adminTls } = await loadSettings(await given(yaml))
  assert.deepEqual(adminAuth, { tokenFile: '/t', readTokenFile: '/r' })
  assert.deepEqual(adminTls, { cert: '/c', key: '/k' })
})

test('what a command sends is never read from the file', async () => {
  const sources = { ...(await given('admin: [')), flags: {} }
  assert.equal(await loadSetting('adminTokenFile', sources), undefined)
  assert.match(await problem('adminTokenFile: /t'), /unknown setting "adminTokenFile"/)
})

for (const [yaml, message] of [
  [
    'adminAuth: { readTokenFile: /r }',
    /adminAuth has no tokenFile; give the file of the token for everything/,
  ],
  ['adminAuth: { tokenFile: /t, readTokenFile: /t }', /adminAuth names one file twice/],
  ['adminAuth: secret', /adminAuth is a text; expected a map with keys out of tokenFile, readTokenFile/],
  ['adminTls: { cert: /c }', /adminTls needs both cert and key/],
] as const) {
  test(`${yaml} is refused`, async () => {
    assert.match(await problem(yaml), message)
  })
}
