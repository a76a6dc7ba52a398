import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerRegistry } from '../../src/peers/peer-registry.ts'
import { ScriptedRegistry } from '../../testkit/registries/scripted-registry.ts'

test('what is private upstream is so with peers, whatever their credentials are', async () => {
  const upstream = new ScriptedRegistry()
  upstream.privateRegistries.add('r.example')
  const registry = new PeerRegistry(upstream, () => undefined)
  assert.equal(await registry.isPrivate({ registry: 'r.example', name: 'team/app' }), true)
  assert.equal(await registry.isPrivate({ registry: 'ghcr.io', name: 'acme/app' }), false)
})
