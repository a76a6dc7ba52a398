import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('a mirror of Docker Hub with credentials', async () => {
  const { settings, notes, kind } = await imported(`version: 0.1
log: { level: warn }
storage:
  filesystem: { rootdirectory: /var/lib/registry }
  delete: { enabled: true }
http:
  addr: :5000
  headers: { X-Content-Type-Options: [nosniff] }
  tls: { certificate: /tls/crt, key: /tls/key, clientcas: [/tls/ca] }
  debug: { addr: ":5001" }
auth: { htpasswd: { path: /x } }
notifications: { endpoints: [{ name: hooks, url: https://hooks.test/ }] }
proxy:
  remoteurl: https://registry-1.docker.io
  username: u
  password: hunter2
  ttl: 168h`)
  assert.equal(kind, 'docker-registry')
  assert.deepEqual(settings, {
    listen: '0.0.0.0:5000',
    logLevel: 'warn',
    tlsCert: '/tls/crt',
    tlsKey: '/tls/key',
    upstreams: [{ namespace: 'docker.io', username: 'u', passwordFile: '/etc/leat/passwords/docker.io' }],
  })
  const text = notes.join('\n')
  for (const expected of [
    /proxy\.ttl is not needed/,
    /http\.tls\.clientcas has no counterpart/,
    /metrics at the address of admin/,
    /The content in \/var\/lib\/registry has another layout/,
    /until it is set whoever reaches listen can pull; see docs\/access\.md/,
    /notifications are webhooks in Leat: name each endpoint there, with format: distribution/,
  ])
    assert.match(text, expected)
  assert.ok(!text.includes('hunter2'))
})

test('a mirror of another registry, which becomes the default one', async () => {
  const { settings } = await imported(
    'version: 0.1\nstorage: { s3: { bucket: x } }\nproxy: { remoteurl: "http://reg.example:5000/v2/team" }',
  )
  assert.deepEqual(settings, {
    defaultNamespace: 'reg.example:5000',
    upstreams: [{ namespace: 'reg.example:5000', tls: false, prefix: 'team' }],
  })
})

test('variables in a compose file override the file', async () => {
  const { settings } = await imported(`services:
  mirror:
    image: registry:2
    environment:
      REGISTRY_PROXY_REMOTEURL: https://ghcr.io
      REGISTRY_HTTP_ADDR: 0.0.0.0:5001
      REGISTRY_PROXY_USERNAME: u
      REGISTRY_PROXY_PASSWORD: p`)
  assert.deepEqual(settings, {
    listen: '0.0.0.0:5001',
    defaultNamespace: 'ghcr.io',
    upstreams: [{ namespace: 'ghcr.io', username: 'u', passwordFile: '/etc/leat/passwords/ghcr.io' }],
  })
})

test('a registry without a proxy section is told of hosted repositories, and what has no counterpart', async () => {
  const { settings, notes } = await imported('version: 0.1\nstorage: { gcs: { bucket: x } }')
  assert.deepEqual(settings, {})
  assert.match(
    notes.join('\n'),
    /There is no proxy section: name the repositories that clients push to in hosted/,
  )
  assert.match(notes.join('\n'), /not with storage\.gcs/)
})

test('the bucket of a mirror is read as it is, and that of another registry needs its name', async () => {
  const storage = `storage:
  s3: { bucket: images, region: eu-central-1, rootdirectory: /mirror, accesskey: a, secretkey: hunter2 }`
  const mirror = await imported(
    `version: 0.1\n${storage}\nproxy: { remoteurl: https://registry-1.docker.io }`,
  )
  assert.deepEqual(mirror.settings, {
    objectStore: { url: 's3://images/mirror', region: 'eu-central-1', registry: 'docker.io' },
  })
  assert.match(mirror.notes.join('\n'), /The bucket images is read as it is/)
  assert.ok(!mirror.yaml.includes('hunter2'))
  const other = await imported(`version: 0.1\n${storage}`)
  assert.deepEqual(other.settings, {})
  assert.match(other.notes.join('\n'), /with the name under which its images are known as its registry/)
})
