import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { checkRealm } from '../../../src/upstream/auth/realm.ts'
import type { AddressScope } from '../../../src/upstream/options/address-scope.ts'

async function isAllowed(
  registry: string,
  realm: string,
  scopeLimit: AddressScope = 'public',
  realms: string[] = [],
): Promise<boolean> {
  try {
    await checkRealm(realm, { registry: new URL(registry), scopeLimit, realms })
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
  [false, 'https://mine.gitlab.io/', 'https://yours.gitlab.io/t', 'two tenants of one hosting domain'],
  [false, 'https://mine.fly.dev/', 'https://yours.fly.dev/t', 'two tenants of one application platform'],
  [true, 'https://r.mine.fly.dev/', 'https://auth.mine.fly.dev/t', 'one tenant of it'],
  [false, 'https://mine.ngrok.io/', 'https://yours.ngrok.io/t', 'two customers of one tunnel service'],
  [false, 'https://mine.b.kawasaki.jp/', 'https://yours.kawasaki.jp/t', 'two owners under a wildcard suffix'],
  [false, 'https://食狮.公司.cn/', 'https://猫.公司.cn/t', 'two owners under a suffix beyond ASCII'],
  [false, 'https://fly.dev/', 'https://yours.fly.dev/t', 'a registry at a public suffix'],
  [
    false,
    'https://1.dkr.ecr.us-east-1.amazonaws.com/',
    'https://2.dkr.ecr.us-east-1.amazonaws.com/t',
    'two customers of a cloud that the public suffix list lacks',
  ],
  [
    false,
    'https://1.dkr.ecr.cn-north-1.amazonaws.com.cn/',
    'https://2.dkr.ecr.cn-north-1.amazonaws.com.cn/t',
    'the same in another country',
  ],
  [false, 'https://europe-docker.pkg.dev/', 'https://evil.pkg.dev/t', 'two hosts under pkg.dev'],
  [true, 'https://registry.acme.co.kr/', 'https://auth.acme.co.kr/t', 'one owner under a country’s suffix'],
  [
    true,
    'https://registry.acme.internal/',
    'https://auth.acme.internal/t',
    'one domain of a private network',
  ],
  [false, 'https://constructor/', 'https://evil.example/t', 'a registry named like a property of objects'],
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

for (const [isExpected, registry, realm, why] of TABLE) {
  test(`${registry} ${isExpected ? 'may' : 'may not'} name the token service ${realm}: ${why}`, async () => {
    const scopeLimit = registry.includes('10.0') ? 'private' : 'public'
    assert.equal(await isAllowed(registry, realm, scopeLimit), isExpected)
  })
}

test('a realm that the settings list is permitted, but not at an address beyond the scope limit', async () => {
  const registry = 'https://r.example.com/'
  assert.ok(await isAllowed(registry, 'https://sso.corp.example/t', 'public', ['sso.corp.example']))
  assert.ok(!(await isAllowed(registry, 'https://10.1.1.1/t', 'public', ['10.1.1.1'])))
  assert.ok(await isAllowed(registry, 'https://10.1.1.1/t', 'private', ['10.1.1.1']))
})

test('the error for a realm names the setting that permits it', async () => {
  const rules = { registry: new URL('https://r.io/'), scopeLimit: 'public', realms: [] } as const
  await assert.rejects(checkRealm('https://sso.example/', rules), /sso\.example.*realms/)
})
