import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { clusterOf, IMPATIENT, MIB, until } from '../support/cluster-fixture.ts'
import type { Node } from '../support/cluster-node.ts'
import { contentOf } from '../support/rogue.ts'

/** Bounds how often a parent that lies is asked. */
const MAX_LIES = 6

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

describe('a parent that lies about the size', () => {
  for (const [what, by] of [
    ['more', 65_536],
    ['fewer', -65_536],
    ['absurdly many', 2 ** 45],
  ] as const) {
    it(`by ${what} bytes is asked a few times, and the node gets the content`, async (t) => {
      const cluster = await clusterOf(t, 2, upstream.host, { policy: IMPATIENT })
      const rogue = await cluster.addRogue()
      const [node] = cluster.nodes as [Node]
      const bytes = cluster.bytesOwnedBy(rogue.member, 3 * MIB)
      let lies = 0
      rogue.givesAsParent(async (upload) => {
        lies += 1
        await upload.send({ ...contentOf(upload.request.digest, bytes), size: bytes.length + by })
      })
      upstream.addBlob(bytes)
      const errors: (Error | undefined)[] = []
      t.after(subscribe('flight.ended', ({ error }) => errors.push(error)))
      const first = await node.pull(digestOf(bytes)).catch(() => undefined)
      if (first !== undefined) assert.ok(first.bytes.equals(bytes))
      assert.ok((await node.pull(digestOf(bytes))).bytes.equals(bytes))
      assert.ok(lies > 0 && lies <= MAX_LIES, `the parent was asked ${lies} times`)
      await until(() => errors.length > 0)
      assert.deepEqual(errors, [undefined])
    })
  }
})
