import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('mirrors, TLS settings and credentials of containerd 1.x', async () => {
  const { settings, notes, kind } = await imported(`version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
  endpoint = ["https://mirror.example/v2/hub", "https://registry-1.docker.io"]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."*"]
  endpoint = ["https://all.example"]
[plugins."io.containerd.grpc.v1.cri".registry.configs."reg.example:5000".auth]
  username = "u"
  password = "hunter2"
[plugins."io.containerd.grpc.v1.cri".registry.configs."reg.example:5000".tls]
  ca_file = "/ca.pem"
  insecure_skip_verify = true
[plugins."io.containerd.grpc.v1.cri".registry.configs."docker.io".auth]
  username = "u"
  password = "hunter2"
[plugins."io.containerd.grpc.v1.cri".registry.configs."ghcr.io".auth]
  auth = "dTpwYXNzd29yZA=="
`)
  assert.equal(kind, "containerd's config.toml")
  assert.deepEqual(settings.upstreams, [
    { namespace: 'docker.io', host: ['mirror.example'], prefix: 'hub' },
    {
      namespace: 'reg.example:5000',
      acceptInvalidCerts: true,
      caFile: '/ca.pem',
      username: 'u',
      passwordFile: '/etc/leat/passwords/reg.example_5000',
    },
  ])
  const text = notes.join('\n')
  for (const expected of [
    /The mirrors of "\*" stand for every registry/,
    /Leat asks only the mirrors of docker\.io/,
    /docker\.io: the credentials are not copied, because all hosts of an entry get the same/,
    /ghcr\.io: the credentials are encoded, and not copied/,
  ])
    assert.match(text, expected)
  assert.ok(!text.includes('hunter2') && !text.includes('dTpwYXNzd29yZA'))
})

test('containerd 2.x has its mirrors in other files', async () => {
  const { settings, notes } = await imported(
    `version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = "/etc/containerd/certs.d"`,
  )
  assert.deepEqual(settings, {})
  assert.match(
    notes.join(),
    /Give the hosts\.toml files below \/etc\/containerd\/certs\.d to agent config import/,
  )
  const none = await imported('version = 3\n[plugins]')
  assert.match(none.notes.join(), /no mirrors and no credentials/)
})
