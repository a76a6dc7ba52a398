import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOptions } from '../../../src/cli/context/agent-options.ts'
import { loadSettings } from '../../../src/config/load.ts'

test('settings become the options of the agent', async () => {
  const settings = await loadSettings({
    flags: { 'tls-cert': 'c.pem', 'tls-key': 'k.pem', allow: ['ghcr.io/acme/**'] },
    env: { UPSTREAM_CREDENTIALS: '{"ghcr.io": {"username": "u", "password": "p"}}' },
    defaultFile: '/nowhere',
  })
  const options = agentOptions(settings, { env: { HTTPS_PROXY: 'http://proxy:3128' }, version: '1.2.3' })
  assert.deepEqual(options.listen, { host: '127.0.0.1', port: 5050 })
  assert.deepEqual(options.admin, { host: '127.0.0.1', port: 5051 })
  assert.deepEqual(options.tls, { certFile: 'c.pem', keyFile: 'k.pem' })
  assert.deepEqual(options.allow, ['ghcr.io/acme/**'])
  assert.equal(options.version, '1.2.3')
  assert.deepEqual(options.upstreams, {
    userAgent: 'leat/1.2.3',
    proxies: { https: 'http://proxy:3128' },
    entries: [
      {
        namespace: 'ghcr.io',
        hosts: [],
        tls: true,
        acceptInvalidCerts: false,
        authorize: undefined,
        authorizeStaleMs: 86_400_000,
        tagTtlMs: 60_000,
        staleIfErrorMs: 604_800_000,
        allowPrivateTargets: false,
        realms: [],
        connectionsPerBlob: 1,
        maxConnections: undefined,
        maxRequestsPerSecond: undefined,
        maxBytesPerSecond: undefined,
        username: 'u',
        password: 'p',
      },
    ],
  })
})
