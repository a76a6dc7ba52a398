import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { idOfKey, type PeerCredentials } from './credentials.ts'
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from './der.ts'
import { privateKeyOf } from './ed25519.ts'
import { type Identity, signingKeyOf } from './identity.ts'
import type { SwarmSecret } from './secret.ts'

/**
 * Who knows the secret has the key of the authority, and therefore a certificate of it: nothing is handed out. The
 * authority's own certificate has to be the same everywhere to the last byte, so nothing in it is drawn or depends on
 * the time; its names, and those of the agents', tell nothing. The key of an agent's certificate is the one of its
 * identity: nobody can be another member, not even with the secret.
 */

const OID = {
  ed25519: '2b6570',
  commonName: '550403',
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  authorityKeyId: '551d23',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
} as const

const DAY_MS = 24 * 60 * 60_000
/** Clocks differ, and an agent may run for long: it makes itself another one whenever it starts. */
const LEAF = { backMs: 7 * DAY_MS, forMs: 2 * 365 * DAY_MS, name: 'peer' }
const AUTHORITY = {
  from: new Date('2000-01-01T00:00:00Z'),
  /** RFC 5280, 4.1.2.5: no end. */
  to: new Date('9999-12-31T23:59:59Z'),
  serial: Buffer.from([1]),
  name: 'peers',
}

/** A certificate by the first secret, and the authorities of all. Without an identity it is one for the moment. */
export function issueCredentials(
  secrets: readonly SwarmSecret[],
  { identity, now = Date.now() }: { readonly identity?: Identity; readonly now?: number } = {},
): PeerCredentials {
  const [first] = secrets
  if (first === undefined) throw new RangeError('there is no secret')
  const own = identity === undefined ? generateKeyPairSync('ed25519').privateKey : signingKeyOf(identity)
  const publicKey = createPublicKey(own)
  const leaf = issueLeaf(publicKey, privateKeyOf(first.authoritySeed), now)
  return {
    id: idOfKey(publicKey),
    cert: pem(leaf),
    key: own.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: secrets.map((secret) => pem(authorityCertificate(secret))),
    fingerprint: createHash('sha256').update(leaf).digest('hex'),
  }
}

/** The same bytes on every node that knows the secret. */
export function authorityCertificate(secret: SwarmSecret): Buffer {
  const key = privateKeyOf(secret.authoritySeed)
  const publicKey = createPublicKey(key)
  return certificate({
    serial: AUTHORITY.serial,
    subject: AUTHORITY.name,
    from: AUTHORITY.from,
    to: AUTHORITY.to,
    publicKey,
    signer: key,
    extensions: [
      extension(OID.basicConstraints, sequence(boolean(true), integer(Buffer.from([0]))), 'critical'),
      extension(OID.keyUsage, bits(Buffer.from([0b0000_0100]), 2), 'critical'),
      extension(OID.subjectKeyId, octets(keyId(publicKey))),
    ],
  })
}

function issueLeaf(publicKey: KeyObject, signer: KeyObject, now: number): Buffer {
  return certificate({
    serial: randomBytes(8),
    subject: LEAF.name,
    from: new Date(now - LEAF.backMs),
    to: new Date(now + LEAF.forMs),
    publicKey,
    signer,
    extensions: [
      extension(OID.basicConstraints, sequence(), 'critical'),
      extension(OID.keyUsage, bits(Buffer.from([0b1000_0000]), 7), 'critical'),
      extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
      extension(OID.subjectAltName, sequence(implicit(2, Buffer.from(LEAF.name)))),
      // The authorities of two secrets have one name: this tells which of them it was.
      extension(OID.authorityKeyId, sequence(implicit(0, keyId(createPublicKey(signer))))),
    ],
  })
}

function certificate(of: {
  readonly serial: Uint8Array
  readonly subject: string
  readonly from: Date
  readonly to: Date
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}): Buffer {
  const algorithm = sequence(oid(OID.ed25519))
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(of.serial),
    algorithm,
    nameOf(AUTHORITY.name),
    sequence(time(of.from), time(of.to)),
    nameOf(of.subject),
    of.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...of.extensions)),
  )
  return sequence(toBeSigned, algorithm, bits(sign(null, toBeSigned, of.signer)))
}

function extension(id: string, value: Uint8Array, isCritical?: 'critical'): Buffer {
  return isCritical === undefined
    ? sequence(oid(id), octets(value))
    : sequence(oid(id), boolean(true), octets(value))
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid(OID.commonName), utf8(commonName))))
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
