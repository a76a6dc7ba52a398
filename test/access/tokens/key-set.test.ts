import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { type KeySet, keySetOfJwks, keySetOfPem } from '../../../src/access/tokens/key-set.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'

const [one, two] = [ecKey(), ecKey()]
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey

function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
}

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

function jwks(...keys: readonly unknown[]): string {
  return JSON.stringify({ keys })
}

async function found(set: KeySet, header: { alg: string; kid?: string }): Promise<number> {
  return (await set.find(header)).length
}

test('a PEM file may have several keys and certificates, whose names do not count', async () => {
  const { cert } = makeCertificates()
  const set = keySetOfPem(`comment\n${pem(one)}${pem(rsa)}${cert}`, '/keys')
  assert.equal(await found(set, { alg: 'ES256', kid: 'anything' }), 2)
  assert.equal(await found(set, { alg: 'RS256' }), 1)
  assert.equal(await found(set, { alg: 'EdDSA' }), 0)
  assert.equal(await found(set, { alg: 'HS256' }), 0)
  assert.equal(await found(set, { alg: 'none' }), 0)
})

test('a JWKS document has keys with names', async () => {
  const [first, second] = [one, two].map((key) => key.export({ format: 'jwk' }))
  const set = keySetOfJwks(jwks({ ...first, kid: 'a' }, { ...second, kid: 'b' }), '/keys')
  assert.equal(await found(set, { alg: 'ES256', kid: 'a' }), 1)
  assert.equal(await found(set, { alg: 'ES256' }), 2)
  assert.equal(await found(set, { alg: 'ES256', kid: 'c' }), 0)
  assert.equal(await found(set, { alg: 'RS256', kid: 'a' }), 0)
})

test('what is not a set of public keys is refused with what to give', () => {
  const secret = { kty: 'oct', k: 'aaaa' }
  for (const text of ['', '{', '{}', '{"keys":[]}', '{"keys":[1]}', jwks(...Array(65).fill({ kty: 'EC' }))])
    assert.throws(() => keySetOfJwks(text, '/keys'), /\/keys is not a JWKS document/, text)
  assert.throws(() => keySetOfJwks(jwks(secret), '/keys'), /\/keys has no public key/)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  assert.throws(() => keySetOfJwks(jwks(privateKey.export({ format: 'jwk' })), '/keys'), /has no public key/)
  const held = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  assert.throws(() => keySetOfPem(`${pem(createPublicKey(held))}${held}`, '/keys'), /holds a private key/)
  assert.throws(() => keySetOfPem('', '/keys'), /holds no public key/)
  const broken = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'
  assert.throws(() => keySetOfPem(broken, '/keys'), /cannot be read; write it again/)
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
  assert.throws(() => keySetOfPem(pem(short), '/keys'), /RSA key of 1024 bits/)
})
