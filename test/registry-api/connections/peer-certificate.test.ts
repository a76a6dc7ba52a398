import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import type { AccessControl, Caller } from '../../../src/ports/access.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { FIRST, SECOND } from '../certificate-pairs.ts'
import { startTestServer } from '../test-server.ts'

const [authority, foreign] = [makeAuthority(), makeAuthority()]
const ALICE = authority.issueToClient({ commonName: 'alice' })

async function startAsking(
  t: TestContext,
  clientCa: string | undefined,
): Promise<{ port: number; callers: Caller[]; caFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const caFile = join(folder, 'ca.crt')
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(tls.certFile, FIRST.cert)
  await writeFile(tls.keyFile, FIRST.key)
  if (clientCa !== undefined) await writeFile(caFile, clientCa)
  const callers: Caller[] = []
  const access: AccessControl = {
    decide: async (caller) => {
      callers.push(caller)
      return { kind: 'allowed', identity: { name: undefined } }
    },
    filterListable: async (_caller, repositories) => repositories,
  }
  const { port } = await startTestServer(t, {
    tls: clientCa === undefined ? tls : { ...tls, clientCaFile: caFile },
    access,
    limits: { certificateMs: 20 },
  })
  return { port, callers, caFile }
}

interface ClientPair {
  cert?: string
  key?: string
}

function askHttp1(port: number, pair: ClientPair): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/v2/', agent: false, ca: FIRST.cert, ...pair }
    request(options, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

function askHttp2(port: number, pair: ClientPair): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: FIRST.cert, ...pair })
    session.on('error', reject)
    const stream = session.request({ ':path': '/v2/' })
    stream.on('response', (headers) => {
      session.close()
      resolve(headers[':status'])
    })
    stream.resume()
  })
}

/** Asks twice on TLS connections of one session. */
async function askInOneSession(port: number, pair: ClientPair): Promise<readonly boolean[]> {
  const isReused: boolean[] = []
  let session: Buffer | undefined
  for (let n = 0; n < 2; n += 1) {
    const socket = connect({ host: '127.0.0.1', port, ca: FIRST.cert, ...pair, ...(session && { session }) })
    const newSession = once(socket, 'session')
    await once(socket, 'secureConnect')
    isReused.push(socket.isSessionReused())
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'data')
    if (session === undefined) session = (await newSession)[0]
    socket.destroy()
  }
  return isReused
}

test('a certificate counts if an authority of the settings has issued it; all others are served without one', async (t) => {
  const { port, callers } = await startAsking(t, authority.ca)
  const forged = foreign.issueToClient({ commonName: 'alice' })
  for (const ask of [askHttp1, askHttp2]) {
    callers.length = 0
    for (const pair of [ALICE, forged, SECOND, {}]) assert.equal(await ask(port, pair), 200)
    const [known, ...others] = callers.map(({ certificate }) => certificate)
    assert.deepEqual(Buffer.from(known ?? []), new X509Certificate(ALICE.cert).raw)
    assert.deepEqual(others, [undefined, undefined, undefined])
  }
})

test('a session that is resumed has the certificate of its beginning', async (t) => {
  const { port, callers } = await startAsking(t, authority.ca)
  for (const [pair, count] of [
    [ALICE, 2],
    [foreign.issueToClient({ commonName: 'alice' }), 0],
    [{}, 0],
  ] as const) {
    callers.length = 0
    assert.deepEqual(await askInOneSession(port, pair), [false, true])
    assert.equal(callers.filter(({ certificate }) => certificate !== undefined).length, count)
  }
})

test('new authorities are used without a restart', async (t) => {
  const { port, callers, caFile } = await startAsking(t, foreign.ca)
  await askHttp1(port, ALICE)
  assert.equal(callers.at(-1)?.certificate, undefined)
  await writeFile(caFile, authority.ca)
  while (callers.at(-1)?.certificate === undefined) await askHttp1(port, ALICE)
})

test('nobody is asked for a certificate unless the settings name authorities', async (t) => {
  const { port, callers } = await startAsking(t, undefined)
  for (const ask of [askHttp1, askHttp2]) assert.equal(await ask(port, ALICE), 200)
  assert.deepEqual(
    callers.map(({ certificate }) => certificate),
    [undefined, undefined],
  )
})

test('a file of authorities without a certificate is refused', async (t) => {
  await assert.rejects(startAsking(t, 'nothing'), /holds no PEM certificate; give the authorities/)
})
