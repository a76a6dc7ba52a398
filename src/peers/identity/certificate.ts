import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { memberIdOfKey, type PeerCredentials } from './credentials.ts'
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from './der.ts'
import { privateKeyOf } from './ed25519.ts'
import { type Identity, signingKeyOf } from './identity.ts'
import type { SwarmSecret } from './secret.ts'

/**
 * Every agent derives the key of the certificate authority from the secret and issues its own certificate, so that no
 * certificate has to be distributed. The authority's certificate must be identical on all nodes, down to the last byte:
 * none of its fields is random or depends on the time. The names in all certificates are constants and reveal nothing
 * about a node. An agent's certificate has the key of its identity, so that an agent that knows the secret still cannot
 * pretend to be another member.
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
/**
 * An agent issues its certificate when it starts. The certificate must be valid for as long as the agent runs, and for
 * peers whose clocks are up to a week behind.
 */
const LEAF = { backdatedMs: 7 * DAY_MS, validMs: 2 * 365 * DAY_MS, name: 'peer' }
const AUTHORITY = {
  from: new Date('2000-01-01T00:00:00Z'),
  /** RFC 5280, 4.1.2.5: this date means that the certificate never expires. */
  to: new Date('9999-12-31T23:59:59Z'),
  serial: Buffer.from([1]),
  name: 'peers',
}

/**
 * Issues a certificate under the first secret, and lists the authorities of all secrets. Without an identity the
 * certificate gets a new key, for one-time use.
 */
export function issueCredentials(
  secrets: readonly SwarmSecret[],
  { identity, now = Date.now() }: { readonly identity?: Identity; readonly now?: number } = {},
): PeerCredentials {
  const [first] = secrets
  if (first === undefined) throw new RangeError('no secret was given')
  const privateKey =
    identity === undefined ? generateKeyPairSync('ed25519').privateKey : signingKeyOf(identity)
  const publicKey = createPublicKey(privateKey)
  const leaf = issueLeaf(publicKey, privateKeyOf(first.authoritySeed), now)
  return {
    id: memberIdOfKey(publicKey),
    cert: pem(leaf),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: secrets.map((secret) => pem(authorityCertificate(secret))),
    fingerprint: createHash('sha256').update(leaf).digest('hex'),
  }
}

/** Encodes the certificate of the authority, which is the same on every node that knows the secret. */
export function authorityCertificate(secret: SwarmSecret): Buffer {
  const key = privateKeyOf(secret.authoritySeed)
  const publicKey = createPublicKey(key)
  return encodeCertificate({
    serial: AUTHORITY.serial,
    subject: AUTHORITY.name,
    from: AUTHORITY.from,
    to: AUTHORITY.to,
    publicKey,
    signer: key,
    extensions: [
      extension(OID.basicConstraints, sequence(boolean(true), integer(Buffer.from([0]))), 'critical'),
      extension(OID.keyUsage, bits(Buffer.from([0b0000_0100]), 2), 'critical'),
      extension(OID.subjectKeyId, octets(keyIdentifier(publicKey))),
    ],
  })
}

function issueLeaf(publicKey: KeyObject, signer: KeyObject, now: number): Buffer {
  return encodeCertificate({
    serial: randomBytes(8),
    subject: LEAF.name,
    from: new Date(now - LEAF.backdatedMs),
    to: new Date(now + LEAF.validMs),
    publicKey,
    signer,
    extensions: [
      extension(OID.basicConstraints, sequence(), 'critical'),
      extension(OID.keyUsage, bits(Buffer.from([0b1000_0000]), 7), 'critical'),
      extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
      extension(OID.subjectAltName, sequence(implicit(2, Buffer.from(LEAF.name)))),
      // The authorities of two secrets have the same name; the key identifier selects the right one.
      extension(OID.authorityKeyId, sequence(implicit(0, keyIdentifier(createPublicKey(signer))))),
    ],
  })
}

function encodeCertificate(fields: {
  readonly serial: Uint8Array
  readonly subject: string
  readonly from: Date
  readonly to: Date
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}): Buffer {
  const algorithm = sequence(oid(OID.ed25519))
  const tbsCertificate = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(fields.serial),
    algorithm,
    distinguishedName(AUTHORITY.name),
    sequence(time(fields.from), time(fields.to)),
    distinguishedName(fields.subject),
    fields.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...fields.extensions)),
  )
  return sequence(tbsCertificate, algorithm, bits(sign(null, tbsCertificate, fields.signer)))
}

function extension(id: string, value: Uint8Array, isCritical?: 'critical'): Buffer {
  return isCritical === undefined
    ? sequence(oid(id), octets(value))
    : sequence(oid(id), boolean(true), octets(value))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(oid(OID.commonName), utf8(commonName))))
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
