import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { followCertificate, readCertificate } from '../../../src/registry-api/connections/certificate.ts'
import { FIRST, SECOND } from '../certificate-pairs.ts'
import { ALPINE, dial, openDoor, untilClosed } from '../front-door.ts'

type Pair = typeof FIRST

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function write(path: string, pair: Pair): Promise<{ certFile: string; keyFile: string }> {
  await mkdir(path, { recursive: true })
  const files = { certFile: join(path, 'tls.crt'), keyFile: join(path, 'tls.key') }
  await writeFile(files.certFile, pair.cert)
  await writeFile(files.keyFile, pair.key)
  return files
}

function handshake(port: number, protocols: string[] = []): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: protocols },
      () => resolve(socket),
    )
    socket.once('error', reject)
  })
}

async function nameAt(port: number): Promise<string | undefined> {
  const socket = await handshake(port)
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  const { CN: name } = subject
  return Array.isArray(name) ? name[0] : name
}

test('with a certificate the port speaks TLS, and the client chooses the protocol', async (t) => {
  const tls = await write(await folder(t), FIRST)
  const { port, resolver } = await openDoor(t, { tls })
  const body = Buffer.alloc(3_000_000, 'x')
  const path = `/v2/alpine/blobs/${resolver.putBlob(ALPINE, body)}`

  const size = await new Promise<number>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false, ca: FIRST.cert, servername: 'localhost' }
    const asking = request(options, (response) => {
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      response.on('end', () => resolve(length))
    })
    asking.on('error', reject)
    asking.end()
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
    const socket = await handshake(port, protocols)
    assert.equal(socket.alpnProtocol, protocols[0] ?? false)
    socket.destroy()
  }
  await resolver.quiet()
})

test('what is not TLS on a TLS port is turned away, and the agent goes on serving', async (t) => {
  const tls = await write(await folder(t), FIRST)
  const { port, server } = await openDoor(t, { tls })
  const socket = await dial(port)
  const closed = untilClosed(socket)
  socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  await closed
  assert.equal(await nameAt(port), FIRST.name)
  const idle = await handshake(port)
  const gone = once(idle, 'close')
  await server.drain({ timeoutMs: 60_000 })
  await gone
})

test('a slow or silent client over TLS is cut off as one without', async (t) => {
  const tls = await write(await folder(t), FIRST)
  const strict = await openDoor(t, { tls, limits: { silentMs: 50 } })
  const silent = await handshake(strict.port)
  assert.equal((await untilClosed(silent)).text, '')
  const { port } = await openDoor(t, { tls, limits: { headersMs: 200 } })
  // The handshake has the same deadline, which an honest client may miss on a busy machine: it tries again.
  let slow: TLSSocket | undefined
  while (slow === undefined) slow = await handshake(port).catch(() => undefined)
  const closed = untilClosed(slow)
  slow.write('GET /v2/ HTTP/1.1\r\n')
  assert.match((await closed).text, /^HTTP\/1\.1 400 /)
})

test('a certificate that has changed is used for the next connection', async (t) => {
  const path = await folder(t)
  const tls = await write(path, FIRST)
  const { port } = await openDoor(t, { tls, limits: { certificateMs: 5 } })
  assert.equal(await nameAt(port), FIRST.name)
  await write(path, SECOND)
  while ((await nameAt(port)) !== SECOND.name) await new Promise((resolve) => setImmediate(resolve))
})

test('a swap of symlinks, as Kubernetes does it, is seen; half a pair never is', async (t) => {
  const path = await folder(t)
  await write(join(path, 'one'), FIRST)
  const two = await write(join(path, 'two'), { ...FIRST, cert: SECOND.cert })
  await symlink('one', join(path, 'data'))
  const files = { certFile: join(path, 'data', 'tls.crt'), keyFile: join(path, 'data', 'tls.key') }
  const applied: string[] = []
  let wake = () => {}
  const following = followCertificate(
    files,
    ({ cert }) => {
      applied.push(cert.toString())
      wake()
    },
    { everyMs: 2 },
  )
  // The looking itself keeps no process alive.
  const awake = setInterval(() => {}, 1000)
  t.after(() => {
    following.stop()
    clearInterval(awake)
  })
  const next = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  await next()
  await symlink('two', join(path, 'fresh'))
  await rename(join(path, 'fresh'), join(path, 'data'))
  await assert.rejects(readCertificate(files), /key values mismatch/i)
  const whole = next()
  await writeFile(two.keyFile, SECOND.key)
  await whole
  assert.deepEqual(applied, [FIRST.cert, SECOND.cert])
})

test('a certificate that cannot be read stops the start', async (t) => {
  const path = await folder(t)
  const tls = await write(path, { ...FIRST, key: SECOND.key })
  await assert.rejects(openDoor(t, { tls }), /key values mismatch/i)
  await assert.rejects(openDoor(t, { tls: { ...tls, keyFile: join(path, 'none') } }), { code: 'ENOENT' })
})
