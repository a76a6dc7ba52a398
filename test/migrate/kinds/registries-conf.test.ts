import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('mirrors of podman and CRI-O', async () => {
  const { settings, notes, kind } = await imported(`unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "mirror.example"
[[registry.mirror]]
location = "127.0.0.1:5050/docker.io"
insecure = true
[[registry]]
location = "plain.example:5000"
insecure = true
[[registry]]
location = "blocked.example"
blocked = true
[[registry]]
prefix = "quay.io/team"
location = "x.example/team"
[[registry]]
prefix = "ghcr.io"
location = "harbor.example/ghcr"
[[registry]]
mirror-by-digest-only = true
`)
  assert.equal(kind, 'registries.conf')
  assert.deepEqual(settings.upstreams, [
    { namespace: 'docker.io', host: ['mirror.example', 'registry-1.docker.io'] },
    { namespace: 'plain.example:5000', acceptInvalidCerts: true },
    { namespace: 'ghcr.io', host: ['harbor.example'], prefix: 'ghcr' },
  ])
  const text = notes.join('\n')
  for (const expected of [
    /The mirror 127\.0\.0\.1:5050\/docker\.io is on this machine/,
    /plain\.example:5000 is insecure: acceptInvalidCerts is set/,
    /blocked\.example is blocked/,
    /quay\.io\/team is not a whole registry/,
    /neither prefix nor location/,
    /unqualified-search-registries stays/,
    /short-name-mode stays/,
  ])
    assert.match(text, expected)
})

test('version 1 of the format is named', async () => {
  const { notes } = await imported('[registries.search]\nregistries = ["docker.io"]')
  assert.match(notes.join(), /version 1 of the format/)
})
