import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { checkRealm, registrableDomain } from '../../../src/upstream/auth/realm.ts'
import type { AddressScope } from '../../../src/upstream/options/address-scope.ts'

const allowed = (
  registry: string,
  realm: string,
  scopeLimit: AddressScope = 'public',
  realms: string[] = [],
): boolean => {
  try {
    checkRealm(realm, { registry: new URL(registry), scopeLimit, realms })
    return true
  } catch (error) {
    assert.ok(error instanceof Failure && error.code === 'denied')
    return false
  }
}

const TABLE: readonly [boolean, string, string, string][] = [
  [true, 'https://registry-1.docker.io/', 'https://auth.docker.io/token', 'the same registrable domain'],
  [true, 'https://ghcr.io/', 'https://ghcr.io/token', 'the same authority'],
  [true, 'https://registry.gitlab.com/', 'https://gitlab.com/jwt/auth', 'a parent within the same domain'],
  [true, 'https://a.example.com:5000/', 'https://a.example.com:5001/t', 'another port of the same host'],
  [true, 'https://lscr.io/', 'https://ghcr.io/token', 'an exception that is known'],
  [
    true,
    'https://rg.fr-par.scw.cloud/',
    'https://api.scaleway.com/registry',
    'an exception for a whole domain',
  ],
  [true, 'https://ghcr.io/', '/token', 'a relative realm'],
  [false, 'https://ghcr.io/', 'https://evil.example/token', 'another domain'],
  [false, 'https://ghcr.io/', 'https://ghcr.io.evil.example/token', 'a domain that only begins alike'],
  [false, 'https://a.co.uk/', 'https://b.co.uk/t', 'two owners under one public suffix'],
  [true, 'https://r.a.co.uk/', 'https://t.a.co.uk/t', 'one owner under it'],
  [false, 'https://mine.azurecr.io/', 'https://yours.azurecr.io/t', 'two customers of one cloud'],
  [true, 'https://mine.azurecr.io/', 'https://mine.azurecr.io/oauth2/token', 'one customer of it'],
  [false, 'https://ghcr.io/', 'http://ghcr.io/token', 'the same host without TLS'],
  [true, 'http://registry.example.com/', 'https://auth.example.com/t', 'TLS where there was none'],
  [false, 'https://ghcr.io/', 'ftp://ghcr.io/token', 'not the web'],
  [false, 'https://ghcr.io/', 'https://user:pw@ghcr.io/token', 'a password in the address'],
  [false, 'https://ghcr.io/', 'https://169.254.169.254/latest/meta-data', 'the metadata service'],
  [false, 'https://ghcr.io/', 'https://[::1]/', 'the loopback'],
  [false, 'https://com/', 'https://evil.com/', 'a registry that has no domain'],
  [true, 'http://10.0.0.1:5000/', 'http://10.0.0.1:5001/t', 'another port of a private address'],
  [false, 'http://10.0.0.1:5000/', 'http://10.0.0.2/t', 'another private address'],
]

for (const [verdict, registry, realm, why] of TABLE) {
  test(`${registry} ${verdict ? 'may' : 'may not'} send us to ${realm}: ${why}`, () => {
    assert.equal(allowed(registry, realm, registry.includes('10.0') ? 'private' : 'public'), verdict)
  })
}

test('a realm listed by the operator is trusted, but still not with a private address', () => {
  assert.ok(allowed('https://r.example.com/', 'https://sso.corp.example/t', 'public', ['sso.corp.example']))
  assert.ok(!allowed('https://r.example.com/', 'https://10.1.1.1/t', 'public', ['10.1.1.1']))
  assert.ok(allowed('https://r.example.com/', 'https://10.1.1.1/t', 'private', ['10.1.1.1']))
})

test('the refusal says what to set', () => {
  assert.throws(
    () =>
      checkRealm('https://sso.example/', {
        registry: new URL('https://r.io/'),
        scopeLimit: 'public',
        realms: [],
      }),
    /sso\.example.*realms/,
  )
})

test('an address has no registrable domain but itself', () => {
  assert.equal(registrableDomain('10.0.0.1'), '10.0.0.1')
  assert.equal(registrableDomain('a.b.example.org'), 'example.org')
})
