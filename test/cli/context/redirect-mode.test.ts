import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redirectOptions, withPortVariable } from '../../../src/cli/context/redirect-mode.ts'

const TO = 'https://us-docker.pkg.dev/v2/project/repo/'
const ENTRY = {
  host: 'images.example.dev',
  to: 'https://ghcr.io/v2/',
  mode: 'serve',
  clients: [],
  trustedProxies: [],
} as const

function listenOf(env: Record<string, string>, flags: Record<string, string> = {}) {
  return withPortVariable({ flags, env, defaultFile: '/none' }).env['LEAT_LISTEN']
}

test('UpstreamRegistry redirects every host to it, and allows nothing else', () => {
  const none = { redirects: [], allow: undefined }
  assert.deepEqual(redirectOptions(none, { UpstreamRegistry: TO }), {
    redirects: [{ host: '*', to: TO }],
    allow: ['us-docker.pkg.dev/project/repo/**'],
  })
  assert.deepEqual(redirectOptions(none, { UPSTREAMREGISTRY: 'https://ghcr.io/v2/' }).allow, ['ghcr.io/**'])
  assert.deepEqual(redirectOptions(none, { UpstreamRegistry: '' }), {})
})

test('entries of the settings come before UpstreamRegistry, and their allow list stays', () => {
  const both = redirectOptions({ redirects: [ENTRY], allow: ['ghcr.io/a/*'] }, { UpstreamRegistry: TO })
  assert.deepEqual(both, { redirects: [ENTRY, { host: '*', to: TO }], allow: ['ghcr.io/a/*'] })
  assert.deepEqual(redirectOptions({ redirects: [ENTRY], allow: undefined }, {}), { redirects: [ENTRY] })
  const open = redirectOptions({ redirects: [ENTRY], allow: undefined }, { UpstreamRegistry: TO })
  assert.deepEqual(open.allow, ['ghcr.io/**', 'us-docker.pkg.dev/project/repo/**'])
})

test('an UpstreamRegistry that is no https URL with /v2/ stops the start with a sentence', () => {
  for (const value of ['http://x.test/v2/', 'https://x.test/', 'https://u:hunter2@x.test/v2/', 'x'])
    assert.throws(
      () => redirectOptions({ redirects: [], allow: undefined }, { UpstreamRegistry: value }),
      /^SettingsError: UpstreamRegistry has a wrong value; expected an https URL with \/v2\/ and a final slash/,
    )
})

test('with UpstreamRegistry, PORT names the port; Leat’s own settings win', () => {
  assert.equal(listenOf({ UpstreamRegistry: TO, PORT: '8080' }), '0.0.0.0:8080')
  assert.equal(listenOf({ UpstreamRegistry: TO }), undefined)
  assert.equal(listenOf({ PORT: '8080' }), undefined)
  assert.equal(listenOf({ UpstreamRegistry: TO, PORT: '8080', LEAT_LISTEN: 'x' }), 'x')
  assert.equal(listenOf({ UpstreamRegistry: TO, PORT: '8080' }, { listen: 'x' }), undefined)
  assert.throws(() => listenOf({ UpstreamRegistry: TO, PORT: '80a' }), /PORT is "80a"; expected a port/)
})

test('the environment says where the credentials of buckets are', () => {
  const to = { name: 's3://eu', bucket: { bucket: 'eu', prefix: '' } }
  const clients = [{ networks: ['10.0.0.0/8'], ranges: [], to }]
  const env = { AWS_ACCESS_KEY_ID: 'key' }
  const { redirects } = redirectOptions({ redirects: [{ ...ENTRY, clients }], allow: undefined }, env)
  assert.equal(redirects?.[0]?.clients?.[0]?.to.bucket.environment, env)
})
