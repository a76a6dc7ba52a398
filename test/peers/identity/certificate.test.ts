import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { before, test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { authorityCertificate, issueCredentials } from '../../../src/peers/identity/certificate.ts'
import {
  type PeerCredentials,
  remoteIdentityOf,
  tlsOptions,
} from '../../../src/peers/identity/credentials.ts'
import { identityOf } from '../../../src/peers/identity/identity.ts'
import { deriveSecret, type SwarmSecret } from '../../../src/peers/identity/secret.ts'

let one: SwarmSecret
let two: SwarmSecret

before(async () => {
  one = await deriveSecret('the secret of one swarm')
  two = await deriveSecret('the secret of another swarm')
})

/** For each end: the identity of the other end and the TLS version, or the reason why the handshake failed. */
interface Handshake {
  readonly server: string
  readonly client: string
}

async function handshake(server: PeerCredentials, client: PeerCredentials): Promise<Handshake> {
  const listener = createServer({ ...tlsOptions(server), requestCert: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const socket = connect({ ...tlsOptions(client), host: '127.0.0.1', port, servername: 'peer' })
  socket.on('error', () => {})
  const atServer = new Promise<string>((resolve) => {
    listener.once('tlsClientError', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    listener.once('connection', (raw) => raw.once('close', () => resolve('closed')))
    listener.once('secureConnection', (accepted: TLSSocket) => {
      accepted.on('error', () => {})
      accepted.write('hello')
      resolve(`${describeRemote(accepted)} ${accepted.getProtocol()}`)
    })
  })
  const atClient = new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    socket.once('close', () => resolve('closed'))
    socket.once('data', () => resolve(`${describeRemote(socket)} ${socket.getProtocol()}`))
  })
  try {
    return { server: await atServer, client: await atClient }
  } finally {
    socket.destroy()
    listener.close()
  }
}

function describeRemote(socket: TLSSocket): string {
  const { id, fingerprint } =
    remoteIdentityOf(socket) ?? assert.fail('the other end presented no certificate')
  return `${id} ${fingerprint}`
}

/** The outcome of a handshake in which each end identifies the other. */
function mutual(server: PeerCredentials, client: PeerCredentials): Handshake {
  const identified = ({ id, fingerprint }: PeerCredentials) => `${id} ${fingerprint} TLSv1.3`
  return { server: identified(client), client: identified(server) }
}

test('the certificate of the authority of a secret is byte for byte the same on every node', async () => {
  const again = await deriveSecret('the secret of one swarm')
  assert.ok(authorityCertificate(one).equals(authorityCertificate(again)))
  assert.ok(!authorityCertificate(one).equals(authorityCertificate(two)))
})

test('a certificate is issued by the authority, valid for clients and servers, and reveals nothing about the node', () => {
  const now = Date.now()
  const { cert, ca, fingerprint } = issueCredentials([one], { now })
  const [leaf, authority] = [new X509Certificate(cert), new X509Certificate(String(ca[0]))]
  assert.ok(authority.ca && authority.verify(authority.publicKey) && authority.checkIssued(authority))
  assert.ok(!leaf.ca && leaf.verify(authority.publicKey) && leaf.checkIssued(authority))
  assert.equal(leaf.checkHost('peer'), 'peer')
  assert.deepEqual([leaf.subject, leaf.issuer, leaf.subjectAltName], ['CN=peer', 'CN=peers', 'DNS:peer'])
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  assert.equal(leaf.fingerprint256.replaceAll(':', '').toLowerCase(), fingerprint)
  const days = [leaf.validFrom, leaf.validTo].map((at) => Math.round((Date.parse(at) - now) / 86_400_000))
  assert.deepEqual(days, [-7, 730])
  assert.equal(Date.parse(authority.validTo), Date.parse('9999-12-31T23:59:59Z'))
  assert.notEqual(issueCredentials([one]).fingerprint, fingerprint)
})

test('two agents with the same secret connect over TLS 1.3 and identify each other by key and fingerprint', async () => {
  const [server, client] = [issueCredentials([one]), issueCredentials([one])]
  assert.notEqual(server.id, client.id)
  assert.deepEqual(await handshake(server, client), mutual(server, client))
})

test('an agent that issues itself a new certificate remains the same member', async () => {
  const identity = identityOf(Buffer.alloc(32, 1))
  const [before, after] = [issueCredentials([one], { identity }), issueCredentials([two, one], { identity })]
  assert.deepEqual([before.id, after.id], [identity.id, identity.id])
  assert.notEqual(before.fingerprint, after.fingerprint)
  const other = issueCredentials([one, two])
  assert.deepEqual(await handshake(other, after), mutual(other, after))
})

test('a certificate issued under another secret is refused', async () => {
  const [ours, foreign] = [issueCredentials([one]), issueCredentials([two])]
  const trusting = { ...foreign, ca: [...foreign.ca, ...ours.ca] }
  assert.equal((await handshake(ours, trusting)).server, 'closed')
  assert.match(
    (await handshake(trusting, ours)).client,
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/,
  )
})

test('while the secret is being rotated, agents accept both secrets as server and as client', async () => {
  const [old, oldFirst, newFirst, fresh] = [[two], [two, one], [one, two], [one]].map((secrets) =>
    issueCredentials(secrets),
  ) as [PeerCredentials, PeerCredentials, PeerCredentials, PeerCredentials]
  for (const [a, b] of [
    [old, oldFirst],
    [oldFirst, newFirst],
    [newFirst, fresh],
  ] as const) {
    for (const [server, client] of [
      [a, b],
      [b, a],
    ] as const) {
      assert.deepEqual(await handshake(server, client), mutual(server, client))
    }
  }
})

test('a certificate is valid for peers whose clocks are a week behind, and expires after two years', async () => {
  const YEAR = 365 * 86_400_000
  const server = issueCredentials([one])
  const [ahead, behind, old, early] = [6 * 86_400_000, -YEAR, -3 * YEAR, YEAR].map((by) =>
    issueCredentials([one], { now: Date.now() + by }),
  ) as [PeerCredentials, PeerCredentials, PeerCredentials, PeerCredentials]
  assert.deepEqual(await handshake(server, ahead), mutual(server, ahead))
  assert.deepEqual(await handshake(server, behind), mutual(server, behind))
  assert.equal((await handshake(old, server)).client, 'CERT_HAS_EXPIRED')
  assert.equal((await handshake(early, server)).client, 'CERT_NOT_YET_VALID')
  assert.equal((await handshake(server, old)).server, 'closed')
})
