import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkpointsOf, digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, IMPATIENT, MIB } from '../support/cluster-fixture.ts'
import type { Node } from '../support/cluster-node.ts'
import { contentOf, type Rogue, repeatedly } from '../support/rogue.ts'

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

interface HostileOwner {
  readonly rogue: Rogue
  readonly nodes: readonly Node[]
  /** A blob of upstream that the rogue owns. */
  readonly bytes: Buffer
}

async function hostileOwner(t: TestContext, size: number): Promise<HostileOwner> {
  const cluster = await clusterOf(t, 2, upstream.host, { policy: IMPATIENT })
  const rogue = await cluster.addRogue()
  const bytes = cluster.bytesOwnedBy(rogue.member, size)
  upstream.addBlob(bytes)
  return { rogue, nodes: cluster.nodes, bytes }
}

async function assertAllGet({ nodes, bytes }: HostileOwner): Promise<void> {
  const got = await Promise.all(nodes.map((node) => node.pull(digestOf(bytes))))
  for (const each of got) assert.ok(each.bytes.equals(bytes))
}

describe('a node gets the content although the owner', () => {
  it('tells it to wait for ever', async (t) => {
    const setting = await hostileOwner(t, 100_000)
    setting.rogue.answers((_request, exchange) => repeatedly(exchange, { is: 'wait' }))
    await assertAllGet(setting)
  })

  it('names a parent that sends a byte now and then', async (t) => {
    const setting = await hostileOwner(t, 5 * MIB)
    const { rogue, bytes } = setting
    rogue.givesAsParent(async (upload) => {
      const { closed: signal } = upload
      const dripping = {
        ...contentOf(upload.request.digest, bytes),
        readable: async (offset: number) => {
          await delay(50, undefined, { signal })
          return offset + 1
        },
        read: async (target: Uint8Array, position: number) => {
          target.set(bytes.subarray(position, position + 1))
          return 1
        },
      }
      await upload.send(dripping)
    })
    const [node] = setting.nodes as [Node]
    assert.ok((await node.pull(digestOf(bytes))).bytes.equals(bytes))
  })

  it('makes two nodes each other’s parents', async (t) => {
    const setting = await hostileOwner(t, MIB)
    const contacts = setting.nodes.map(({ self: { id, name, host, port, fingerprint } }) => {
      return { id, name, host, port, fingerprint }
    })
    setting.rogue.answers(async ({ self }, exchange) => {
      exchange.send({ is: 'take', parent: contacts.find(({ id }) => id !== self.id) })
      await repeatedly(exchange, { is: 'beat' })
    })
    await assertAllGet(setting)
  })

  it('vouches for wrong bytes and sends them itself', async (t) => {
    const { rogue, nodes, bytes } = await hostileOwner(t, 2 * MIB)
    const forged = randomBytes(bytes.length)
    const checkpoints = Buffer.from(checkpointsOf(forged)).toString('base64')
    rogue.gives((upload) => upload.send(contentOf(upload.request.digest, forged)))
    rogue.answers(async ({ ask }, exchange) => {
      if (ask !== 'follow') return
      exchange.send({ is: 'marks', first: 0, marks: checkpoints })
      exchange.send({ is: 'take', parent: rogue.contact })
      return repeatedly(exchange, { is: 'beat' })
    })
    const [node] = nodes as [Node]
    // A reader that got some of the wrong bytes is cut off, and asks again as clients do.
    const first = await node.pull(digestOf(bytes)).catch(() => undefined)
    if (first !== undefined) assert.ok(first.bytes.equals(bytes))
    assert.ok((await node.pull(digestOf(bytes))).bytes.equals(bytes))
    assert.ok(node.store.stored.has(digestOf(bytes)))
  })
})
