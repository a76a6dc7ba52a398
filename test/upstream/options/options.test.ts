import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { canonicalNamespace, describeUpstream, parseHost } from '../../../src/upstream/options/options.ts'

test('Docker Hub is one upstream under each of its names', () => {
  for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'Docker.IO']) {
    assert.equal(canonicalNamespace(name), 'docker.io')
    assert.deepEqual(describeUpstream({}, name).hosts, ['registry-1.docker.io'])
  }
})

test('a registry without an entry is asked at its own host, over TLS', () => {
  const upstream = describeUpstream({}, 'localhost:5000')
  assert.deepEqual(upstream.hosts, ['localhost:5000'])
  assert.ok(upstream.tls)
  assert.ok(!upstream.acceptInvalidCerts)
  assert.equal(upstream.tagTtlMs, 60_000)
  assert.equal(upstream.staleIfErrorMs, 7 * 86_400_000)
})

test('the settings of an entry win over the defaults', () => {
  const options = { tagTtlMs: 5, staleIfErrorMs: 6 }
  const entries = [
    { namespace: 'a.io', tagTtlMs: 0 },
    { namespace: 'b.io', staleIfErrorMs: 0 },
  ]
  assert.equal(describeUpstream(options, 'a.io').tagTtlMs, 5)
  assert.equal(describeUpstream({ ...options, entries }, 'a.io').tagTtlMs, 0)
  assert.equal(describeUpstream({ ...options, entries }, 'b.io').staleIfErrorMs, 0)
})

test('credentials from the environment apply to entries without a username, under any name of Docker Hub', () => {
  const options = { credentials: { 'index.docker.io': { username: 'env', password: 'e' } } }
  assert.deepEqual(describeUpstream(options, 'docker.io').basic, { username: 'env', password: 'e' })
  const own = describeUpstream(
    { ...options, entries: [{ namespace: 'docker.io', username: 'own', password: 'o' }] },
    'docker.io',
  )
  assert.deepEqual(own.basic, { username: 'own', password: 'o' })
  assert.equal(describeUpstream(options, 'a.io').basic, undefined)
})

test('slashes at the ends of a prefix are removed', () => {
  assert.equal(
    describeUpstream({ entries: [{ namespace: 'a.io', prefix: '/mirror/team/' }] }, 'a.io').prefix,
    'mirror/team',
  )
})

for (const host of ['a.io', 'a.io:5000', 'localhost', '10.0.0.1:80', '[::1]:5000', 'under_score.example']) {
  test(`${host} is a host`, () => assert.equal(parseHost(host), host))
}

for (const host of [
  '',
  '.',
  'a b',
  'a.io/x',
  'a.io?x',
  'user@a.io',
  'a.io:x',
  'a.io:99999',
  '-a',
  'a\r\nb',
  '[x]',
]) {
  test(`${JSON.stringify(host)} is not a host`, () => assert.equal(parseHost(host), undefined))
}

test('credentials and a Docker config do not list a registry, only an entry does', () => {
  const credentials = { 'localhost:5000': { username: 'a', password: 'b' } }
  const entries = [{ namespace: 'localhost:5001' }]
  const options = { credentials, entries, dockerConfig: '/etc/docker.json' }
  assert.equal(describeUpstream(options, 'localhost:5000').scopeLimit, 'public')
  assert.equal(describeUpstream(options, 'r.example').scopeLimit, 'private')
  assert.equal(describeUpstream(options, 'localhost:5001').scopeLimit, ANY_SCOPE)
  assert.equal(describeUpstream({}, 'no host').scopeLimit, 'public')
})
