import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { readCertificate, watchCertificate } from '../../../src/lib/certificate-files.ts'
import { FIRST, SECOND } from '../certificate-pairs.ts'
import { ALPINE, openSocket, readUntilClosed, startTestServer } from '../test-server.ts'

type CertificatePair = typeof FIRST

async function createFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function writePair(
  path: string,
  pair: CertificatePair,
): Promise<{ certFile: string; keyFile: string }> {
  await mkdir(path, { recursive: true })
  const files = { certFile: join(path, 'tls.crt'), keyFile: join(path, 'tls.key') }
  await writeFile(files.certFile, pair.cert)
  await writeFile(files.keyFile, pair.key)
  return files
}

function connectTls(port: number, protocols: string[] = []): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: protocols },
      () => resolve(socket),
    )
    socket.once('error', reject)
  })
}

async function certificateNameAt(port: number): Promise<string | undefined> {
  const socket = await connectTls(port)
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  const { CN: name } = subject
  return Array.isArray(name) ? name[0] : name
}

test('with a certificate the port speaks TLS, and the client chooses the protocol', async (t) => {
  const tls = await writePair(await createFolder(t), FIRST)
  const { port, resolver } = await startTestServer(t, { tls })
  const body = Buffer.alloc(3_000_000, 'x')
  const path = `/v2/alpine/blobs/${resolver.putBlob(ALPINE, body)}`

  const size = await new Promise<number>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false, ca: FIRST.cert, servername: 'localhost' }
    const sent = request(options, (response) => {
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      response.on('end', () => resolve(length))
    })
    sent.on('error', reject)
    sent.end()
  })
  assert.equal(size, body.length)

  const session = connectHttp2(`https://localhost:${port}`, { ca: FIRST.cert })
  const stream = session.request({ ':path': path })
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  await once(stream, 'end')
  assert.equal(length, body.length)
  session.close()

  for (const protocols of [['h2', 'http/1.1'], ['http/1.1'], []]) {
    const socket = await connectTls(port, protocols)
    assert.equal(socket.alpnProtocol, protocols[0] ?? false)
    socket.destroy()
  }
  await resolver.allClosed()
})

test('a connection without TLS to a TLS port is closed, and the agent keeps serving', async (t) => {
  const tls = await writePair(await createFolder(t), FIRST)
  const { port, server } = await startTestServer(t, { tls })
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  await closed
  assert.equal(await certificateNameAt(port), FIRST.name)
  const idle = await connectTls(port)
  const idleClosed = once(idle, 'close')
  await server.drain({ timeoutMs: 60_000 })
  await idleClosed
})

test('a slow or silent client is cut off over TLS as over plain TCP', async (t) => {
  const tls = await writePair(await createFolder(t), FIRST)
  const strict = await startTestServer(t, { tls, limits: { silentMs: 50 } })
  const silent = await connectTls(strict.port)
  assert.equal((await readUntilClosed(silent)).text, '')
  const { port } = await startTestServer(t, { tls, limits: { headersMs: 200 } })
  // The TLS handshake has the same deadline. On a busy machine an honest client may miss it, so this one tries again.
  let slow: TLSSocket | undefined
  while (slow === undefined) slow = await connectTls(port).catch(() => undefined)
  const closed = readUntilClosed(slow)
  slow.write('GET /v2/ HTTP/1.1\r\n')
  assert.match((await closed).text, /^HTTP\/1\.1 400 /)
})

test('a changed certificate is used for the next connection', async (t) => {
  const path = await createFolder(t)
  const tls = await writePair(path, FIRST)
  const { port } = await startTestServer(t, { tls, limits: { certificateMs: 5 } })
  assert.equal(await certificateNameAt(port), FIRST.name)
  await writePair(path, SECOND)
  while ((await certificateNameAt(port)) !== SECOND.name)
    await new Promise((resolve) => setImmediate(resolve))
})

test('a certificate replaced by a symlink swap, as Kubernetes does it, is applied; a mismatched pair never is', async (t) => {
  const path = await createFolder(t)
  await writePair(join(path, 'one'), FIRST)
  const two = await writePair(join(path, 'two'), { ...FIRST, cert: SECOND.cert })
  await symlink('one', join(path, 'data'))
  const files = { certFile: join(path, 'data', 'tls.crt'), keyFile: join(path, 'data', 'tls.key') }
  const inUse = await readCertificate(files)
  const applied: string[] = []
  let onApplied = () => {}
  const watch = watchCertificate(
    files,
    ({ cert }) => {
      applied.push(cert.toString())
      onApplied()
    },
    { inUse, intervalMs: 2, onProblem: () => {} },
  )
  // The polling timer does not keep the process alive, so this timer does.
  const keepAlive = setInterval(() => {}, 1000)
  t.after(() => {
    watch.stop()
    clearInterval(keepAlive)
  })
  const nextApplied = () =>
    new Promise<void>((resolve) => {
      onApplied = resolve
    })
  await symlink('two', join(path, 'fresh'))
  await rename(join(path, 'fresh'), join(path, 'data'))
  await assert.rejects(readCertificate(files), /is no PEM certificate to which the key .* belongs/)
  const secondApplied = nextApplied()
  await writeFile(two.keyFile, SECOND.key)
  await secondApplied
  assert.deepEqual(applied, [SECOND.cert], 'the certificate in use is not applied again')
})

test('a certificate that cannot be read, or does not match its key, fails the start', async (t) => {
  const path = await createFolder(t)
  const tls = await writePair(path, { ...FIRST, key: SECOND.key })
  await assert.rejects(startTestServer(t, { tls }), /is no PEM certificate to which the key .* belongs/)
  await assert.rejects(startTestServer(t, { tls: { ...tls, keyFile: join(path, 'none') } }), {
    code: 'ENOENT',
  })
})
