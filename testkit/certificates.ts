import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** The certificate authority of a test and a certificate that it has signed, all as PEM. */
export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const OID = {
  commonName: '550403',
  organization: '55040a',
  ecdsaWithSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
} as const

/** Encodes the few types of DER (X.690) that a certificate (RFC 5280) needs, so that tests need no openssl. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  // The length has as few bytes as possible (X.690, 10.1); Go rejects other certificates.
  const digits = body.length.toString(16)
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes)
const bits = (bytes: Uint8Array): Buffer => der(0x03, Buffer.from([0]), bytes)
const truth = (): Buffer => der(0x01, Buffer.from([0xff]))

interface Subject {
  readonly commonName: string
  readonly organization?: string | undefined
}

function nameOf({ commonName, organization }: Subject): Buffer {
  const part = (type: string, value: string): Buffer =>
    der(0x31, sequence(oid(type), der(0x0c, Buffer.from(value))))
  return sequence(
    ...(organization === undefined ? [] : [part(OID.organization, organization)]),
    part(OID.commonName, commonName),
  )
}

function time(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
}

function altNames(hosts: readonly string[]): Buffer {
  return altNamesOf(
    hosts.map((host) =>
      isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
    ),
  )
}

/** Names of a client: URIs, and host names that may hold anything. Undefined: there are none. */
function clientNames({ uris = [], hosts = [] }: Pick<ClientNames, 'uris' | 'hosts'>): Buffer | undefined {
  if (uris.length + hosts.length === 0) return undefined
  return altNamesOf([
    ...hosts.map((host) => der(0x82, Buffer.from(host))),
    ...uris.map((uri) => der(0x86, Buffer.from(uri))),
  ])
}

function altNamesOf(names: readonly Buffer[]): Buffer {
  return sequence(oid(OID.subjectAltName), octets(sequence(...names)))
}

function certificate(options: {
  subject: Subject
  issuer: Subject
  publicKey: KeyObject
  signer: KeyObject
  extension: Buffer | undefined
}): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const now = Date.now()
  const serial = randomBytes(8)
  serial[0] = 0x40 // positive, and no needless leading zero
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    nameOf(options.issuer),
    sequence(time(new Date(now - 86_400_000)), time(new Date(now + 86_400_000))),
    nameOf(options.subject),
    options.publicKey.export({ type: 'spki', format: 'der' }),
    ...(options.extension === undefined ? [] : [der(0xa3, sequence(options.extension))]),
  )
  const whole = sequence(toBeSigned, algorithm, bits(sign('sha256', toBeSigned, options.signer)))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

interface Keys {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** Whom a client certificate names. Kubernetes takes the organization for a group. */
export interface ClientNames extends Subject {
  readonly uris?: readonly string[] | undefined
  readonly hosts?: readonly string[] | undefined
}

/** A new certificate authority that can sign several certificates. */
export interface Authority {
  readonly ca: string
  /** Signs a certificate for these host names and IPv4 addresses. */
  issue(hosts: readonly string[], keys?: Keys): { readonly cert: string; readonly key: string }
  issueToClient(names: ClientNames): { readonly cert: string; readonly key: string }
}

export function makeAuthority(): Authority {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { commonName: `test authority ${randomBytes(4).toString('hex')}` }
  const ca = certificate({
    subject: issuer,
    issuer,
    publicKey: authority.publicKey,
    signer: authority.privateKey,
    extension: sequence(oid(OID.basicConstraints), truth(), octets(sequence(truth()))),
  })
  return {
    ca,
    issue(hosts, keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })) {
      const { publicKey, privateKey } = keys
      const signed = {
        subject: { commonName: 'test server' },
        issuer,
        publicKey,
        signer: authority.privateKey,
      }
      return {
        cert: certificate({ ...signed, extension: altNames(hosts) }),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
    issueToClient({ uris, hosts, ...subject }) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const signed = { subject, issuer, publicKey, signer: authority.privateKey }
      return {
        cert: certificate({ ...signed, extension: clientNames({ uris, hosts }) }),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}

/** A new certificate authority, and a server certificate for these host names and IPv4 addresses. */
export function makeCertificates(hosts: readonly string[] = ['127.0.0.1', 'localhost']): Certificates {
  const { ca, issue } = makeAuthority()
  return { ca, ...issue(hosts) }
}
