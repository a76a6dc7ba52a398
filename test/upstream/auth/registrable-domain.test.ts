import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { checkRealm } from '../../../src/upstream/auth/realm.ts'
import { registrableDomain } from '../../../src/upstream/auth/registrable-domain.ts'

const { cache } = createRequire(import.meta.url)
const isListLoaded = (): boolean => Object.keys(cache).some((file) => file.includes('/node_modules/tldts/'))

test('the public suffix list is loaded only for a realm on another host', async () => {
  const rules = {
    registry: new URL('https://r.example/'),
    scopeLimit: 'public',
    realms: ['sso.example'],
  } as const
  await checkRealm('https://r.example/token', rules)
  await checkRealm('https://r.example:8443/token', rules)
  await checkRealm('https://sso.example/token', rules)
  assert.ok(!isListLoaded())
  await checkRealm('https://auth.r.example/token', rules)
  assert.ok(isListLoaded())
})

const TABLE: readonly [hostname: string, domain: string][] = [
  ['a.b.example.org', 'example.org'],
  ['a.example.org.', 'example.org'],
  ['a.example.co.uk', 'example.co.uk'],
  ['a.b.github.io', 'b.github.io'],
  ['github.io', 'github.io'],
  ['com', 'com'],
  ['registry', 'registry'],
  ['a.b.azurecr.io', 'a.b.azurecr.io'],
  ['notazurecr.io', 'notazurecr.io'],
  ['a.notazurecr.io', 'notazurecr.io'],
  ['under_score.example.com', 'example.com'],
  ['10.0.0.1', '10.0.0.1'],
  ['[2001:db8::1]', '[2001:db8::1]'],
  ['a.localhost', 'a.localhost'],
]

for (const [hostname, domain] of TABLE) {
  test(`the registrable domain of ${hostname} is ${domain}`, async () => {
    assert.equal(await registrableDomain(hostname), domain)
  })
}
