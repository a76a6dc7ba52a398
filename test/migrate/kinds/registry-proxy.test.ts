import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('the address stays, and each storage gets a sentence', async () => {
  const { settings, notes, kind } = await imported(`registry_storage = "storage/registry"
temporary_registry_storage = "storage/_tmp"
proxy_storage = "storage/proxy"`)
  assert.equal(kind, 'docker-registry-server-proxy')
  assert.deepEqual(settings, { listen: '0.0.0.0:8000' })
  assert.deepEqual(notes, [
    'Leat takes pushes to the repositories that hosted names: name them there, and push to them again what is in storage/registry; agent import --from registry-proxy:storage/registry takes images over for pulls under other names.',
    'The cache in storage/proxy has another layout: take it over with agent import --from registry-proxy:storage/proxy.',
    'Nothing takes the place of storage/_tmp: uploads under way are in the data folder, too.',
  ])
})
