import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('mirrors of Docker Hub and insecure registries', async () => {
  const { settings, notes, kind } = await imported(
    JSON.stringify({
      'registry-mirrors': ['https://mirror.gcr.io/', 'http://localhost:8080', 'nonsense'],
      'insecure-registries': ['reg.example:5000', '10.0.0.0/8'],
      proxies: { 'http-proxy': 'http://proxy.example:3128' },
      'data-root': '/data',
    }),
  )
  assert.equal(kind, "Docker's daemon.json")
  assert.deepEqual(settings.upstreams, [
    { namespace: 'docker.io', host: ['mirror.gcr.io', 'registry-1.docker.io'] },
    { namespace: 'reg.example:5000', acceptInvalidCerts: true },
  ])
  const text = notes.join('\n')
  for (const expected of [
    /nonsense is not a URL of a registry/,
    /The mirror http:\/\/localhost:8080\/? is on this machine/,
    /10\.0\.0\.0\/8 is a network/,
    /proxies \(http-proxy\) has no counterpart in the file/,
  ])
    assert.match(text, expected)
})

test('a file without registries says so', async () => {
  const { settings, yaml, notes } = await imported('{"data-root": "/data"}')
  assert.deepEqual(settings, {})
  assert.match(yaml, /^# Made by .*\n# None of them needs a setting/)
  assert.match(notes.join(), /neither mirrors nor insecure registries/)
})
