import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('an env file becomes a source of Docker at the same address', async () => {
  const { settings, notes, kind, loaded } = await imported(`REGISTRY_LISTEN_ADDR=:5000
REGISTRY_KEY_PATH=/tls/key.pem
REGISTRY_CERT_PATH=/tls/cert.pem
REGISTRY_PREFIXES=docker.io/acme/ quay.io/base/
DOCKER_HOST=tcp://docker.example:2376
DOCKER_TLS_VERIFY=1
DOCKER_CERT_PATH=/certs`)
  assert.equal(kind, 'oci-reg-docker')
  assert.deepEqual(settings, {
    listen: '0.0.0.0:5000',
    tlsCert: '/tls/cert.pem',
    tlsKey: '/tls/key.pem',
    sources: [
      {
        docker: 'tcp://docker.example:2376',
        prefixes: ['docker.io/acme/', 'quay.io/base/'],
        exclusive: true,
      },
    ],
  })
  assert.deepEqual(notes, [
    'Keep DOCKER_CERT_PATH, DOCKER_TLS_VERIFY in the environment of agent serve, which reads them, too.',
  ])
  assert.deepEqual(loaded.sources[0]?.prefixes, ['docker.io/acme/', 'quay.io/base/'])
})

test('a compose file and a docker run need no variable', async () => {
  const compose = await imported(`services:
  registry:
    image: example.com/oci-reg-docker:main
    environment:
      REGISTRY_PREFIXES: acme/`)
  const run = await imported('docker run -d -v /var/run/docker.sock:/var/run/docker.sock oci-reg-docker')
  const common = { listen: '127.0.0.1:8080' }
  assert.deepEqual(compose.settings, {
    ...common,
    sources: [{ docker: 'env', prefixes: ['acme/'], exclusive: true }],
  })
  assert.deepEqual(run.settings, { ...common, sources: [{ docker: 'env', exclusive: true }] })
})

test('half of a TLS pair and a Docker host of another form are left out with a sentence', async () => {
  const { settings, notes } = await imported(
    'REGISTRY_KEY_PATH=/tls/key.pem\nDOCKER_HOST=ssh://me@host\nREGISTRY_LISTEN_ADDR=8080',
  )
  assert.deepEqual(settings, {})
  assert.equal(notes.length, 3)
  assert.match(notes.join('\n'), /docker has credentials in a URL; write them elsewhere, and give env/)
})
