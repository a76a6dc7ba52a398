import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { Logins } from '../../src/access/logins.ts'
import type { Caller } from '../../src/ports/access.ts'
import { makeAuthority } from '../../testkit/certificates.ts'

const { issueToClient } = makeAuthority()
const NO_WAYS = { passwords: undefined, tokens: undefined, takesCertificates: false }
const CERTIFICATES = new Logins({ ...NO_WAYS, takesCertificates: true })

function caller(given: Partial<Caller>): Caller {
  return { authorization: undefined, certificate: undefined, address: '192.0.2.1', isLocal: false, ...given }
}

function certificate(commonName: string): Uint8Array {
  return new X509Certificate(issueToClient({ commonName }).cert).raw
}

test('a client with a certificate needs no other login, and one without either is anonymous', async () => {
  const alice = await CERTIFICATES.find(caller({ certificate: certificate('alice') }))
  assert.deepEqual(alice, { kind: 'known', name: 'alice', grants: undefined })
  assert.deepEqual(await CERTIFICATES.find(caller({})), { kind: 'anonymous' })
  const emptyLogin = { authorization: 'Basic Og==', certificate: certificate('alice') }
  assert.equal((await CERTIFICATES.find(caller(emptyLogin))).kind, 'known')
})

test('a certificate does not make up for a wrong login, nor does one without a name count', async () => {
  const wrong = { authorization: 'Basic YWxpY2U6eA==', certificate: certificate('alice') }
  assert.equal((await CERTIFICATES.find(caller(wrong))).kind, 'refused')
  assert.equal((await CERTIFICATES.find(caller({ certificate: certificate('') }))).kind, 'refused')
})

test('a way of login that is switched off lets nobody in', async () => {
  const none = new Logins(NO_WAYS)
  assert.equal((await none.find(caller({ certificate: certificate('alice') }))).kind, 'anonymous')
  assert.deepEqual(await none.find(caller({ authorization: 'Basic YWxpY2U6eA==' })), {
    kind: 'refused',
    message: 'this registry takes no passwords',
    isToken: false,
  })
  assert.equal((await none.find(caller({ authorization: 'Bearer a.b.c' }))).kind, 'refused')
  assert.equal((await none.find(caller({ authorization: 'Digest x' }))).kind, 'refused')
})
