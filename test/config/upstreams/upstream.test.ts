import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { given, problem } from '../settings-file.ts'

test('all settings of an upstream are read', async () => {
  const settings = await loadSettings(
    await given(`
upstreams:
  - namespace: index.docker.io
    host: [mirror.example.com:5000, registry-1.docker.io]
    tls: false
    acceptInvalidCerts: true
    caFile: /etc/ssl/my-ca.pem
    userAgent: containerd/2.1
    username: aaa
    password: 0123
    tagTtl: 0s
    staleIfError: 1d
    prefix: mirror/team
    allowPrivateTargets: true
    realms: [auth.example.com]
  - namespace: localhost:5000
  - namespace: ghcr.io
    host: ghcr.io
    dockerConfig: /root/.docker/config.json
  - { namespace: quay.io, username: bob, passwordFile: /run/secrets/quay }
`),
  )
  const [hub, local, github, quay] = settings.upstreams
  assert.equal(hub?.namespace, 'docker.io')
  assert.deepEqual(hub.hosts, ['mirror.example.com:5000', 'registry-1.docker.io'])
  assert.equal(hub.tls, false)
  assert.equal(hub.acceptInvalidCerts, true)
  assert.equal(hub.caFile, '/etc/ssl/my-ca.pem')
  assert.equal(hub.userAgent, 'containerd/2.1')
  assert.equal(hub.tagTtlMs, 0)
  assert.equal(hub.staleIfErrorMs, 86_400_000)
  assert.equal(hub.prefix, 'mirror/team')
  assert.equal(hub.allowPrivateTargets, true)
  assert.deepEqual(hub.realms, ['auth.example.com'])
  assert.ok(hub.credentials?.kind === 'password')
  assert.equal(hub.credentials.username, 'aaa')
  assert.equal(hub.credentials.password.reveal(), '0123', 'a password of digits keeps its zeros')
  assert.deepEqual(local, {
    namespace: 'localhost:5000',
    hosts: [],
    tls: true,
    acceptInvalidCerts: false,
    caFile: undefined,
    userAgent: undefined,
    credentials: undefined,
    tagTtlMs: 60_000,
    staleIfErrorMs: 604_800_000,
    prefix: undefined,
    allowPrivateTargets: false,
    realms: [],
    costPerGiB: undefined,
    authorize: undefined,
    authorizeStaleMs: 86_400_000,
    connectionsPerBlob: 1,
    maxConnections: undefined,
    maxRequestsPerSecond: undefined,
    maxBytesPerSecond: undefined,
  })
  assert.deepEqual(github?.hosts, ['ghcr.io'])
  assert.deepEqual(github.credentials, { kind: 'docker-config', file: '/root/.docker/config.json' })
  assert.deepEqual(quay?.credentials, { kind: 'password-file', username: 'bob', file: '/run/secrets/quay' })
})

test('a registry that decides about pulls has one host, and no passwords beside its own', async () => {
  const upstream = (more: string) => `upstreams:\n  - namespace: a.io\n    ${more}\n`
  const { upstreams } = await loadSettings(
    await given(upstream('authorize: upstream\n    authorizeStale: 2h')),
  )
  const [decides] = upstreams
  assert.deepEqual([decides?.authorize, decides?.authorizeStaleMs], ['upstream', 7_200_000])
  const table: readonly [string, RegExp][] = [
    ['authorize: upstream\n    host: [a.io, b.io]', /has several hosts and authorize; give one host/],
    ['authorizeStale: 2h', /gives authorizeStale without authorize/],
    ['authorize: yes', /expected one of upstream/],
    ['authorize: upstream\nauth: { htpasswd: users }', /auth\.htpasswd and authorize of a\.io both take/],
  ]
  for (const [more, expected] of table) assert.match(await problem(upstream(more)), expected, more)
})

test('a registry that decides about pulls has its own host, with TLS unless it is on this machine', async () => {
  const upstream = (namespace: string, more: string) =>
    `upstreams:\n  - namespace: ${namespace}\n    authorize: upstream\n    ${more}\n`
  const good: readonly [string, string][] = [
    ['a.io', 'host: A.io:5000'],
    ['docker.io', 'host: registry-1.docker.io'],
    ['a.io', 'host: 127.0.0.1:5000\n    tls: false'],
    ['a.io', 'host: localhost:5000\n    tls: false'],
    ['a.io', 'host: "[::1]:5000"\n    tls: false'],
    ['localhost:5000', 'tls: false'],
  ]
  for (const [namespace, more] of good) await loadSettings(await given(upstream(namespace, more)))
  const table: readonly [string, RegExp][] = [
    [
      'host: mirror.a.io',
      /has authorize and the host mirror\.a\.io, which would get the logins .* for a\.io;/,
    ],
    ['host: 10.0.0.1:5000', /has authorize and the host 10\.0\.0\.1:5000/],
    ['tls: false', /has authorize and tls: false, .* in plain text; use TLS/],
    ['host: a.io:5000\n    tls: false', /has authorize and tls: false/],
  ]
  for (const [more, expected] of table) assert.match(await problem(upstream('a.io', more)), expected, more)
})

test('credentials that are incomplete, or are given in several ways, are refused', async () => {
  const upstream = (more: string) => `upstreams:\n  - namespace: a.io\n    ${more}\n`
  const table: readonly [string, RegExp][] = [
    ['username: u', /^FILE:2: upstreams\[0\] gives a username without a password/],
    ['password: hunter2', /gives a password without a username/],
    ['username: u\n    password: hunter2\n    passwordFile: f', /in more than one way/],
    ['username: u\n    dockerConfig: f', /a username beside dockerConfig/],
    ['username: u\n    password:', /password has no value/],
    ['username: u\n    password: [hunter2]', /password is a list; expected a text/],
  ]
  for (const [more, expected] of table) {
    const found = await problem(upstream(more))
    assert.match(found, expected)
    assert.ok(!found.includes('hunter2'))
  }
})
