import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

const EXPECTED = {
  allow: ['us-docker.pkg.dev/project/repo/**'],
  redirects: [{ host: '*', to: 'https://us-docker.pkg.dev/v2/project/repo/' }],
}

test('every host is redirected to the upstream registry, and nothing else may be pulled', async () => {
  const { settings, notes, kind } = await imported(
    'UpstreamRegistry=https://us-docker.pkg.dev/v2/project/repo/\nPORT=8080',
  )
  assert.equal(kind, 'OciProxy')
  assert.deepEqual(settings, { ...EXPECTED, listen: '0.0.0.0:8080' })
  assert.match(notes.join('\n'), /write your domain for the \*/)
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
