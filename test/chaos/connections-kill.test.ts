import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, it } from 'node:test'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { AgentChild } from './agent/agent-child.ts'
import { blobFiles, emptyFolder, hashOf, partialSizes } from './support/data-folder.ts'

/** An agent is killed while a large blob comes over four connections. */

const MIB = 1024 * 1024
const BYTES = randomBytes(72 * MIB)
/** Two pieces for each connection. */
const WINDOW_BYTES = 2 * 4 * 8 * MIB
/** A range begins with a unit. */
const UNIT_BYTES = 65_536

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

async function startAgent(data: string): Promise<AgentChild> {
  const agent = new AgentChild()
  const entries = [{ namespace: 'up.test', hosts: [upstream.host], tls: false, connectionsPerBlob: 4 }]
  const listen = { host: '127.0.0.1', port: 0 }
  assert.ok(await agent.start({ data, listen, admin: listen, upstreams: { entries } }))
  return agent
}

it('a blob that came over several connections is continued after kill -9, and loses no more than the window', async (t) => {
  const data = await emptyFolder(t)
  const digest = upstream.addBlob(BYTES)
  // The fifth piece never ends: the bytes before it are in order, and those after it are ahead.
  upstream.fault(digest, { stallAt: 32 * MIB + 1000 })
  const killed = await startAgent(data)
  const path = `/v2/app/blobs/${digest}?ns=up.test`
  const response = await fetch(`http://${killed.address}${path}`)
  assert.equal(response.status, 200)
  let count = 0
  await assert.rejects(async () => {
    for await (const chunk of response.body ?? []) {
      count += chunk.length
      if (count >= 32 * MIB) await killed.kill()
    }
  })
  const left = (await partialSizes(data)).get(digest) ?? 0
  assert.ok(left <= 33 * MIB, `${left} bytes in order`)
  const sentBefore = upstream.bytesSent(digest)
  assert.ok(sentBefore - left <= WINDOW_BYTES, `${sentBefore - left} bytes were lost`)
  upstream.release()
  const agent = await startAgent(data)
  const whole = await fetch(`http://${agent.address}${path}`)
  const hash = createHash('sha256')
  for await (const chunk of whole.body ?? []) hash.update(chunk)
  assert.equal(`sha256:${hash.digest('hex')}`, digest)
  const sentAfter = upstream.bytesSent(digest) - sentBefore
  assert.ok(sentAfter <= BYTES.length - left + UNIT_BYTES, `${sentAfter} bytes came after ${left}`)
  assert.equal(await agent.stop(), 0)
  const file = (await blobFiles(data)).get(digest)
  assert.ok(file !== undefined)
  assert.equal(`sha256:${await hashOf(file)}`, digest)
})
