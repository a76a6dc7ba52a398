import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import {
  ALPINE,
  errorCodeOf,
  type ReceivedAnswer,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
} from '../test-server.ts'

const PATH = '/v2/alpine/manifests/latest'

/** A server whose answers wait until `release` is called. */
async function startHeldServer(
  t: Parameters<typeof startTestServer>[0],
): Promise<TestServer & { release: () => void }> {
  const server = await startTestServer(t, { limits: { maxAnswers: 8 } })
  server.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  let release = (): void => {}
  server.resolver.answersAfter = new Promise((resolve) => {
    release = resolve
  })
  return { ...server, release }
}

/** Sends requests whose answers wait, and resolves when the resolver has got all of them. */
async function heldRequestsFrom(
  { port, resolver }: TestServer,
  from: string,
  count: number,
): Promise<Promise<ReceivedAnswer>[]> {
  const before = resolver.asked.length
  const answers = Array.from({ length: count }, () => requestHttp1(port, PATH, { from }))
  while (resolver.asked.length < before + count) await new Promise((resolve) => setImmediate(resolve))
  return answers
}

test('a remote address with half of all answers under way gets a 503 with Retry-After', async (t) => {
  const server = await startHeldServer(t)
  const waiting = await heldRequestsFrom(server, '127.0.0.2', 4)
  for (const request of [requestHttp1, requestHttp2]) {
    const refused = await request(server.port, PATH, { from: '127.0.0.2' })
    assert.equal(refused.status, 503)
    assert.equal(errorCodeOf(refused), 'UNAVAILABLE')
    assert.equal(refused.headers['retry-after'], '1')
  }
  const others = [
    ...(await heldRequestsFrom(server, '127.0.0.3', 2)),
    ...(await heldRequestsFrom(server, '127.0.0.1', 2)),
  ]
  server.release()
  for (const answer of [...waiting, ...others]) assert.equal((await answer).status, 200)
})

test('local clients are answered when remote clients have all the answers that they may have', async (t) => {
  const server = await startHeldServer(t)
  const remote = [
    ...(await heldRequestsFrom(server, '127.0.0.2', 4)),
    ...(await heldRequestsFrom(server, '127.0.0.3', 2)),
  ]
  assert.equal((await requestHttp1(server.port, PATH, { from: '127.0.0.4' })).status, 503)
  const local = await heldRequestsFrom(server, '127.0.0.1', 2)
  server.release()
  for (const answer of [...remote, ...local]) assert.equal((await answer).status, 200)
})
