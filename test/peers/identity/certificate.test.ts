import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { before, test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { authorityCertificate, issueCredentials } from '../../../src/peers/identity/certificate.ts'
import { type PeerCredentials, secure, shownBy } from '../../../src/peers/identity/credentials.ts'
import { identityOf } from '../../../src/peers/identity/identity.ts'
import { deriveSecret, type SwarmSecret } from '../../../src/peers/identity/secret.ts'

let one: SwarmSecret
let two: SwarmSecret

before(async () => {
  one = await deriveSecret('the secret of one swarm')
  two = await deriveSecret('the secret of another swarm')
})

interface Meeting {
  /** Whom each of the two has seen, over which protocol; or why it would not go on. */
  readonly server: string
  readonly client: string
}

async function meeting(server: PeerCredentials, client: PeerCredentials): Promise<Meeting> {
  const listener = createServer({ ...secure(server), requestCert: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const socket = connect({ ...secure(client), host: '127.0.0.1', port, servername: 'peer' })
  socket.on('error', () => {})
  const atServer = new Promise<string>((resolve) => {
    listener.once('tlsClientError', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    listener.once('connection', (raw) => raw.once('close', () => resolve('closed')))
    listener.once('secureConnection', (accepted: TLSSocket) => {
      accepted.on('error', () => {})
      accepted.write('hello')
      resolve(`${nameOf(accepted)} ${accepted.getProtocol()}`)
    })
  })
  const atClient = new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    socket.once('close', () => resolve('closed'))
    socket.once('data', () => resolve(`${nameOf(socket)} ${socket.getProtocol()}`))
  })
  try {
    return { server: await atServer, client: await atClient }
  } finally {
    socket.destroy()
    listener.close()
  }
}

function nameOf(socket: TLSSocket): string {
  const { id, fingerprint } = shownBy(socket) ?? assert.fail('it has shown nothing')
  return `${id} ${fingerprint}`
}

function fine(server: PeerCredentials, client: PeerCredentials): Meeting {
  const seen = ({ id, fingerprint }: PeerCredentials) => `${id} ${fingerprint} TLSv1.3`
  return { server: seen(client), client: seen(server) }
}

test('the authority of a secret is the same to the last byte wherever it is made', async () => {
  const again = await deriveSecret('the secret of one swarm')
  assert.ok(authorityCertificate(one).equals(authorityCertificate(again)))
  assert.ok(!authorityCertificate(one).equals(authorityCertificate(two)))
})

test('a certificate is signed by the authority, good for both roles, neutral, and not older than it has to be', () => {
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

test('two agents of one secret meet over TLS 1.3 and know each other by key and fingerprint', async () => {
  const [server, client] = [issueCredentials([one]), issueCredentials([one])]
  assert.notEqual(server.id, client.id)
  assert.deepEqual(await meeting(server, client), fine(server, client))
})

test('an agent that makes itself another certificate is the same member', async () => {
  const identity = identityOf(Buffer.alloc(32, 1))
  const [before, after] = [issueCredentials([one], { identity }), issueCredentials([two, one], { identity })]
  assert.deepEqual([before.id, after.id], [identity.id, identity.id])
  assert.notEqual(before.fingerprint, after.fingerprint)
  const other = issueCredentials([one, two])
  assert.deepEqual(await meeting(other, after), fine(other, after))
})

test('a certificate of another secret is refused', async () => {
  const [ours, foreign] = [issueCredentials([one]), issueCredentials([two])]
  const trusting = { ...foreign, ca: [...foreign.ca, ...ours.ca] }
  assert.equal((await meeting(ours, trusting)).server, 'closed')
  assert.match(
    (await meeting(trusting, ours)).client,
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/,
  )
})

test('while the secret is being changed both are accepted, whoever calls', async () => {
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
      assert.deepEqual(await meeting(server, client), fine(server, client))
    }
  }
})

test('a certificate is good before and after its making, for clocks that differ, and not for ever', async () => {
  const YEAR = 365 * 86_400_000
  const server = issueCredentials([one])
  const [ahead, behind, old, early] = [6 * 86_400_000, -YEAR, -3 * YEAR, YEAR].map((by) =>
    issueCredentials([one], { now: Date.now() + by }),
  ) as [PeerCredentials, PeerCredentials, PeerCredentials, PeerCredentials]
  assert.deepEqual(await meeting(server, ahead), fine(server, ahead))
  assert.deepEqual(await meeting(server, behind), fine(server, behind))
  assert.equal((await meeting(old, server)).client, 'CERT_HAS_EXPIRED')
  assert.equal((await meeting(early, server)).client, 'CERT_NOT_YET_VALID')
  assert.equal((await meeting(server, old)).server, 'closed')
})
