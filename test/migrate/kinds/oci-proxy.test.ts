import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

const EXPECTED = {
  defaultNamespace: 'us-docker.pkg.dev',
  allow: ['us-docker.pkg.dev/**'],
  upstreams: [{ namespace: 'us-docker.pkg.dev', prefix: 'project/repo' }],
}

test('the upstream registry becomes the default one, with its path as prefix', async () => {
  const { settings, notes, kind } = await imported(
    'UpstreamRegistry=https://us-docker.pkg.dev/v2/project/repo/\nPORT=8080',
  )
  assert.equal(kind, 'OciProxy')
  assert.deepEqual(settings, { ...EXPECTED, listen: '0.0.0.0:8080' })
  assert.match(notes.join('\n'), /Leat sends the content of us-docker\.pkg\.dev itself/)
})

test('appsettings.json is read, too', async () => {
  const { settings } = await imported(
    JSON.stringify({
      Logging: {},
      UpstreamRegistry: 'https://us-docker.pkg.dev/v2/project/repo/',
      Urls: 'http://*:5000',
    }),
  )
  assert.deepEqual(settings, { ...EXPECTED, listen: '0.0.0.0:5000' })
})

test('another URL is left out with a sentence', async () => {
  for (const url of ['http://us-docker.pkg.dev/v2/', 'https://us-docker.pkg.dev/x/', 'x']) {
    const { settings, notes } = await imported(`UpstreamRegistry=${url}`)
    assert.deepEqual(settings, {})
    assert.match(notes.join('\n'), /UpstreamRegistry is not an https URL with \/v2\//)
  }
})
