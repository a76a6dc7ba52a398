import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fetchJwks } from '../../../src/access/tokens/fetch-jwks.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'

async function serve(t: TestContext, answer: RequestListener): Promise<{ url: string; caFile: string }> {
  const { ca, cert, key } = makeCertificates()
  const folder = await mkdtemp(join(tmpdir(), 'leat-jwks-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, ca)
  const server = createServer({ cert, key }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  addCleanup(t, async () => {
    server.close()
    server.closeAllConnections()
    await rm(folder, { recursive: true })
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, caFile }
}

test('keys are fetched from a service whose authority is trusted', async (t) => {
  const { url, caFile } = await serve(t, (_request, response) => response.end('{"keys":[]}'))
  assert.equal(await fetchJwks(url, { caFile }), '{"keys":[]}')
  await assert.rejects(fetchJwks(url), /certificate|issuer/i)
})

test('an answer that is not the keys is refused, and so is one that is too long', async (t) => {
  const redirected = await serve(t, (_request, response) => {
    response.writeHead(302, { location: 'https://127.0.0.1/' }).end()
  })
  await assert.rejects(fetchJwks(redirected.url, redirected), /answers 302/)
  const long = await serve(t, (_request, response) => response.end('x'.repeat(300_000)))
  await assert.rejects(fetchJwks(long.url, long), /more than 262144 bytes/)
  const cut = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('x')
    response.socket?.end()
  })
  await assert.rejects(fetchJwks(cut.url, cut))
})

test('a service that does not answer is not waited for', async (t) => {
  const silent = await serve(t, () => {})
  await assert.rejects(fetchJwks(silent.url, { ...silent, deadlineMs: 50 }), /does not answer within 50 ms/)
  const stalled = await serve(t, (_request, response) => {
    response.writeHead(200).write('{')
  })
  await assert.rejects(fetchJwks(stalled.url, { ...stalled, deadlineMs: 300 }))
})
