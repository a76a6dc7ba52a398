import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('values of the chart become peers, mirrors and the freshness of tags', async () => {
  const { settings, notes, kind, loaded } = await imported(`service: { registry: { hostPort: 30020 } }
basicAuthSecretName: spegel
spegel:
  logLevel: "DEBUG"
  mirroredRegistries: [https://docker.io, https://ghcr.io]
  additionalMirrorTargets: [https://mirror.example]
  resolveTags: false
  prependExisting: true
  registryFilters: [".*:latest$"]
  newOption: 1`)
  assert.equal(kind, 'Spegel')
  assert.deepEqual(settings, {
    logLevel: 'debug',
    peersSecretFile: '/etc/leat/swarm-secret',
    upstreams: [
      { namespace: 'docker.io', host: ['mirror.example', 'registry-1.docker.io'], tagTtl: '0s' },
      { namespace: 'ghcr.io', host: ['mirror.example', 'ghcr.io'], tagTtl: '0s' },
    ],
  })
  assert.equal(loaded.upstreams[1]?.tagTtlMs, 0)
  const text = notes.join('\n')
  for (const expected of [
    /Agents share content only if they know one secret/,
    /agent runtime install --only docker\.io --only ghcr\.io/,
    /basicAuthSecretName has no counterpart/,
    /prependExisting is not needed/,
    /registryFilters has no counterpart/,
    /spegel\.newOption has no counterpart in Leat/,
  ])
    assert.match(text, expected)
})

test('the default values need only a secret', async () => {
  const { settings, notes } = await imported(
    'spegel: { logLevel: INFO, resolveTags: true, mirroredRegistries: [] }',
  )
  assert.deepEqual(settings, { logLevel: 'info', peersSecretFile: '/etc/leat/swarm-secret' })
  assert.equal(notes.length, 1)
})
