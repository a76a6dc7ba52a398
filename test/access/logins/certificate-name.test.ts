import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { certificateName } from '../../../src/access/logins/certificate-name.ts'
import { type ClientNames, makeAuthority } from '../../../testkit/certificates.ts'

const { issueToClient } = makeAuthority()

function nameIn(names: ClientNames): string | undefined {
  return certificateName(new X509Certificate(issueToClient(names).cert).raw)
}

test('a client is named by its SPIFFE URI, or else by its common name', () => {
  const uri = 'spiffe://example.org/ns/prod/sa/builder'
  assert.equal(nameIn({ commonName: 'builder', uris: [uri] }), uri)
  assert.equal(nameIn({ commonName: 'builder', uris: ['https://example.org/x'] }), 'builder')
  assert.equal(nameIn({ commonName: 'builder', hosts: ['builder.example.org'] }), 'builder')
  assert.equal(nameIn({ commonName: 'builder' }), 'builder')
})

test('names with tricks are nobody', () => {
  const table: readonly ClientNames[] = [
    { commonName: 'a', uris: ['spiffe://example.org/a', 'spiffe://example.org/b'] },
    { commonName: 'a', uris: ['spiffe://example.org/a b'] },
    { commonName: 'a', uris: ['spiffe://example.org/a, URI:spiffe://example.org/admin'] },
    { commonName: 'a', uris: ['spiffe://EXAMPLE.org/a'] },
    { commonName: 'a', uris: ['spiffe://example.org/a?b'] },
    { commonName: '' },
    { commonName: 'a\nCN=admin' },
    { commonName: 'a'.repeat(256) },
  ]
  for (const names of table) assert.equal(nameIn(names), undefined, JSON.stringify(names))
})

test('a URI inside another name is not a URI of the client', () => {
  const hosts = ['x, URI:spiffe://example.org/admin', 'y", URI:spiffe://example.org/admin']
  for (const host of hosts) assert.equal(nameIn({ commonName: 'builder', hosts: [host] }), 'builder')
})

test('bytes that are no certificate are nobody', () => {
  assert.equal(certificateName(Buffer.from('x')), undefined)
})
