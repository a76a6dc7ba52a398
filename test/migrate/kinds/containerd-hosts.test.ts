import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

const HUB = '/etc/containerd/certs.d/docker.io/hosts.toml'

test('mirrors are asked before the registry itself', async () => {
  const { settings, notes, kind } = await imported(
    `server = "https://registry-1.docker.io"
[host."https://mirror.example"]
  capabilities = ["pull", "resolve"]
[host."https://other.example:8443/v2"]
  dial_timeout = "200ms"
[host."https://push.example"]
  capabilities = ["push"]
[host."http://127.0.0.1:30020"]
  capabilities = ["pull"]`,
    { path: HUB },
  )
  assert.equal(kind, "containerd's hosts.toml")
  assert.deepEqual(settings, {
    upstreams: [
      {
        namespace: 'docker.io',
        host: ['mirror.example', 'other.example:8443', 'registry-1.docker.io'],
      },
    ],
  })
  assert.deepEqual(notes, [
    'https://push.example is not for pulls, so it is left out.',
    'The mirror http://127.0.0.1:30020 is on this machine, so it is left out: Leat takes its place.',
  ])
})

test('a mirror with a path, a CA and no verification: the other hosts are left out', async () => {
  const { settings, notes } = await imported(
    `[host."https://harbor.example/v2/hub-proxy"]
  capabilities = ["pull", "resolve"]
  override_path = true
  skip_verify = true
  ca = ["/etc/ssl/a.pem"]
  client = "/x.pem"
[host."http://plain.example"]`,
    { path: HUB },
  )
  assert.deepEqual(settings.upstreams, [
    {
      namespace: 'docker.io',
      host: ['harbor.example'],
      acceptInvalidCerts: true,
      caFile: '/etc/ssl/a.pem',
      prefix: 'hub-proxy',
    },
  ])
  const text = notes.join('\n')
  assert.match(text, /client certificates have no counterpart/)
  assert.match(text, /http:\/\/plain\.example is left out, because all hosts of docker\.io have/)
  assert.match(text, /Leat asks only the mirrors of docker\.io/)
})

test('a port in the name of the folder, and a path that containerd puts before /v2', async () => {
  const text = '[host."https://mirror.example/some/path"]\n[host."http://m.example:5000"]'
  const { settings, notes } = await imported(text, { path: 'certs.d/reg.example_5000_/hosts.toml' })
  assert.deepEqual(settings.upstreams, [
    { namespace: 'reg.example:5000', host: ['m.example:5000'], tls: false },
  ])
  assert.match(notes.join('\n'), /has a path before \/v2\//)
})

test('the folder for all registries, and a folder that is named after none', async () => {
  const text = '[host."https://mirror.example"]'
  const all = await imported(text, { path: 'certs.d/_default/hosts.toml' })
  const none = await imported(text, { path: '/etc/leat/hosts.toml' })
  assert.deepEqual([all.settings, none.settings], [{}, {}])
  assert.match(all.notes.join(), /_default stands for every registry/)
  assert.match(none.notes.join(), /in no folder that names its registry/)
  const server = await imported(`server = "https://ghcr.io"\n${text}`, { path: '/dev/stdin' })
  assert.deepEqual(server.settings.upstreams, [{ namespace: 'ghcr.io', host: ['mirror.example', 'ghcr.io'] }])
})
