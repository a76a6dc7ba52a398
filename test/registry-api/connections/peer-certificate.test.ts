import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AccessControl, Caller } from '../../../src/ports/access.ts'
import { FIRST, SECOND } from '../certificate-pairs.ts'
import { startTestServer } from '../test-server.ts'

async function startAsking(
  t: TestContext,
  requestClientCertificate: boolean,
): Promise<{ port: number; callers: Caller[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(tls.certFile, FIRST.cert)
  await writeFile(tls.keyFile, FIRST.key)
  const callers: Caller[] = []
  const access: AccessControl = {
    decide: async (caller) => {
      callers.push(caller)
      return { kind: 'allowed', identity: { name: undefined } }
    },
    filterListable: async (_caller, repositories) => repositories,
  }
  const { port } = await startTestServer(t, { tls, access, requestClientCertificate })
  return { port, callers }
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

test('a client that has a certificate shows it, whoever issued it, and one without is served as well', async (t) => {
  const { port, callers } = await startAsking(t, true)
  const shown = new X509Certificate(SECOND.cert).raw
  for (const ask of [askHttp1, askHttp2]) {
    callers.length = 0
    assert.equal(await ask(port, { cert: SECOND.cert, key: SECOND.key }), 200)
    assert.equal(await ask(port, {}), 200)
    const [first, second] = callers
    assert.deepEqual(Buffer.from(first?.certificate ?? []), shown)
    assert.equal(second?.certificate, undefined)
  }
})

test('nobody is asked for a certificate unless the settings want it', async (t) => {
  const { port, callers } = await startAsking(t, false)
  for (const ask of [askHttp1, askHttp2])
    assert.equal(await ask(port, { cert: SECOND.cert, key: SECOND.key }), 200)
  assert.deepEqual(
    callers.map(({ certificate }) => certificate),
    [undefined, undefined],
  )
})
