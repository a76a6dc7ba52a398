import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

const UPSTREAMS = `- namespace: example.com
  host: registry.example.com
  tls: true
  accept_invalid_certs: true
  user_agent: "containerd/1.6.8"
  username: example
  password: hunter2
  manifest_invalidation_time: 0s
  blob_invalidation_time: 30d
- namespace: docker.io
  host: registry-1.docker.io
- namespace: plain.example
  host: 10.0.0.1:5000
  tls: false
  username: null
  manifest_invalidation_time: 14 days
- namespace: "not a registry"
  host: x
`

test('an upstream file becomes upstreams, and a password the path of a file', async () => {
  const { settings, notes, kind, loaded } = await imported(UPSTREAMS)
  assert.equal(kind, 'oci-registry')
  assert.deepEqual(settings.upstreams, [
    {
      namespace: 'example.com',
      host: ['registry.example.com'],
      acceptInvalidCerts: true,
      userAgent: 'containerd/1.6.8',
      tagTtl: '0s',
      username: 'example',
      passwordFile: '/etc/leat/passwords/example.com',
    },
    { namespace: 'plain.example', host: ['10.0.0.1:5000'], tls: false, tagTtl: '14d' },
  ])
  assert.equal(loaded.upstreams[0]?.tagTtlMs, 0)
  const text = notes.join('\n')
  assert.match(text, /Write the password for example\.com into \/etc\/leat\/passwords\/example\.com/)
  assert.match(text, /example\.com: blob_invalidation_time is not needed/)
  assert.match(text, /namespace is "not a registry"; expected/)
  assert.ok(!text.includes('hunter2'))
})

test('a namespace that no path can name is told of', async () => {
  const { notes, loaded } = await imported('- { namespace: corp, host: registry.corp }')
  assert.equal(loaded.upstreams[0]?.namespace, 'corp')
  assert.match(notes.join('\n'), /^corp: in a path, .* HOST\/corp\/NAME need another name for it/m)
})

test('a password is copied only when that is asked for', async () => {
  const { settings, yaml } = await imported(UPSTREAMS, { withPasswords: true })
  assert.equal(settings.upstreams?.[0]?.password, 'hunter2')
  assert.match(yaml, /password: hunter2/)
})

test('a password that looks like a number stays as it is written', async () => {
  const text = '- { namespace: a.example, host: a.example, username: "007", password: 0123 }'
  const { loaded } = await imported(text, { withPasswords: true })
  const [{ credentials } = assert.fail()] = loaded.upstreams
  assert.ok(credentials?.kind === 'password')
  assert.deepEqual([credentials.username, credentials.password.reveal()], ['007', '0123'])
})

test('flags and variables become settings, or a sentence about what takes their place', async () => {
  const { settings, notes } =
    await imported(`UPSTREAM_CREDENTIALS='{"ghcr.io": {"username": "u", "password": "hunter2"}}' \\
  oci-registry --listen 0.0.0.0:8080 --default-namespace=quay.io --check-cache-digest \\
  --upstream-config-file /etc/upstream.yaml filesystem --root /data`)
  assert.deepEqual(settings, { listen: '0.0.0.0:8080', defaultNamespace: 'quay.io' })
  const text = notes.join('\n')
  for (const expected of [
    /check-cache-digest is not needed/,
    /Give \/etc\/upstream\.yaml to agent config import, too/,
    /Keep UPSTREAM_CREDENTIALS \(ghcr\.io\) in the environment of agent serve/,
    /The cache in \/data has another layout/,
  ])
    assert.match(text, expected)
  assert.ok(!text.includes('hunter2'))
})

test('a compose file with S3, a Unix socket, and the values of the chart', async () => {
  const compose = await imported(`services:
  cache:
    image: mcronce/oci-registry:v0.4
    environment:
      - S3_BUCKET=images
      - S3_HOST=s3.corp:9000
      - S3_ACCESS_KEY=key
      - S3_SECRET_KEY=hunter2
      - LISTEN=unix:/run/registry.sock
    command: s3`)
  assert.deepEqual(compose.settings, {
    objectStore: { url: 's3://images', endpoint: 'https://s3.corp:9000', layout: 'oci-registry' },
  })
  assert.match(compose.notes.join('\n'), /The bucket images is read as it is: .* AWS_SECRET_ACCESS_KEY/)
  assert.ok(!compose.yaml.includes('hunter2'))
  assert.match(compose.notes.join('\n'), /does not listen on a Unix socket/)
  const chart = await imported(`registry:
  upstream:
    config:
      contents:
        - namespace: gcr.io
          host: mirror.example
    default_namespace: gcr.io
  storage:
    mode: s3
    s3: { bucket: bucket, region: eu-central-1 }`)
  assert.deepEqual(chart.settings, {
    defaultNamespace: 'gcr.io',
    upstreams: [{ namespace: 'gcr.io', host: ['mirror.example'] }],
    objectStore: { url: 's3://bucket', region: 'eu-central-1', layout: 'oci-registry' },
  })
})

test('a file of credentials alone is one, too', async () => {
  const { settings } = await imported('{"docker.io": {"username": "u", "password": "p"}}')
  assert.deepEqual(settings.upstreams, [
    { namespace: 'docker.io', username: 'u', passwordFile: '/etc/leat/passwords/docker.io' },
  ])
})
