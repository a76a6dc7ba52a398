import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { publish } from '../../../src/observe/events.ts'
import { WarmParts } from '../../../src/warm/content/warm-parts.ts'
import type { WarmTarget } from '../../../src/warm/content/warm-target.ts'
import { ALPINE, digestOf } from '../../observe/memory-node.ts'

const MIB = 1024 * 1024
const LAYER = digestOf('layer')

function partsOf(t: TestContext, flight: () => ReturnType<WarmTarget['flight']>): WarmParts {
  const parts = new WarmParts({ flight } as Partial<WarmTarget> as WarmTarget)
  t.after(() => parts.close())
  return parts
}

const started = (resumedAt: number): void =>
  publish('flight.started', { digest: LAYER, kind: 'blob', repository: ALPINE, resumedAt })

async function rateOf(parts: WarmParts): Promise<number> {
  await delay(120)
  return parts.runProgress(true).bytesPerSecond
}

test('what an earlier run has brought is no part of the rate', async (t) => {
  let position: number | undefined
  const parts = partsOf(t, () =>
    position === undefined ? undefined : { position, source: { kind: 'upstream' } },
  )
  parts.add(LAYER, 100 * MIB)
  parts.runProgress(true)
  parts.markArriving(LAYER)
  position = 50 * MIB
  started(position)
  assert.equal(await rateOf(parts), 0)
  assert.deepEqual(parts.totals().fetched, { peer: 0, objectStore: 0, upstream: 0 })
  position = 51 * MIB
  assert.ok((await rateOf(parts)) > 0)
  assert.equal(parts.totals().fetched.upstream, MIB)
})

test('what another client’s transfer had brought before is no part of the rate', async (t) => {
  const position = 50 * MIB
  const parts = partsOf(t, () => ({ position, source: { kind: 'upstream' } }))
  parts.add(LAYER, 100 * MIB)
  parts.runProgress(true)
  parts.markArriving(LAYER)
  assert.equal(await rateOf(parts), 0)
})
