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

/** A door whose answers wait until `go`. */
async function openHeldDoor(
  t: Parameters<typeof startTestServer>[0],
): Promise<TestServer & { go: () => void }> {
  const door = await startTestServer(t, { limits: { maxAnswers: 8 } })
  door.resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  let go = (): void => {}
  door.resolver.held = new Promise((resolve) => {
    go = resolve
  })
  return { ...door, go }
}

async function waitingFrom(
  { port, resolver }: TestServer,
  from: string,
  count: number,
): Promise<Promise<ReceivedAnswer>[]> {
  const before = resolver.asked.length
  const answers = Array.from({ length: count }, () => requestHttp1(port, PATH, { from }))
  while (resolver.asked.length < before + count) await new Promise((resolve) => setImmediate(resolve))
  return answers
}

test('a client that has as many answers under way as one address may have is told to come back', async (t) => {
  const door = await openHeldDoor(t)
  const waiting = await waitingFrom(door, '127.0.0.2', 4)
  for (const request of [requestHttp1, requestHttp2]) {
    const refused = await request(door.port, PATH, { from: '127.0.0.2' })
    assert.equal(refused.status, 503)
    assert.equal(errorCodeOf(refused), 'UNAVAILABLE')
    assert.equal(refused.headers['retry-after'], '1')
  }
  const others = [...(await waitingFrom(door, '127.0.0.3', 2)), ...(await waitingFrom(door, '127.0.0.1', 2))]
  door.go()
  for (const answer of [...waiting, ...others]) assert.equal((await answer).status, 200)
})

test('clients on this machine find room when all others have taken what they may', async (t) => {
  const door = await openHeldDoor(t)
  const remote = [...(await waitingFrom(door, '127.0.0.2', 4)), ...(await waitingFrom(door, '127.0.0.3', 2))]
  assert.equal((await requestHttp1(door.port, PATH, { from: '127.0.0.4' })).status, 503)
  const local = await waitingFrom(door, '127.0.0.1', 2)
  door.go()
  for (const answer of [...remote, ...local]) assert.equal((await answer).status, 200)
})
