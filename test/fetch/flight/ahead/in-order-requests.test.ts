import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { InOrderRequests } from '../../../../src/fetch/flight/ahead/in-order-requests.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { aborted } from '../../../../testkit/registries/scripted-source.ts'
import { never, wantOf } from '../../support/flights.ts'

const MIB = 1024 * 1024
const SIZE = 100 * MIB
const WANT = wantOf(randomBytes(10))

async function setUp(bring: (signal: AbortSignal) => Promise<void>) {
  const incoming = await new MemoryStore().begin(WANT)
  const intake = Object.assign(incoming, { expect() {}, setContributor() {}, vouch() {} })
  const source = {
    name: 'registry',
    kind: 'upstream' as const,
    bring: (_: unknown, __: unknown, { signal }: { signal: AbortSignal }) => bring(signal),
  }
  const requests = new InOrderRequests(WANT)
  return { requests, bringTo: (end: number) => requests.bring(end, source, intake, { signal: never }) }
}

test('segments end with a unit, are twice as large after each request, and small again once a part is missing', async () => {
  const { requests, bringTo } = await setUp(async () => {})
  assert.equal(requests.segmentEnd(0, undefined, AHEAD_UNIT_BYTES), AHEAD_UNIT_BYTES)
  assert.equal(requests.segmentEnd(5, SIZE, AHEAD_UNIT_BYTES), 8 * MIB)
  assert.equal(await bringTo(8 * MIB), true)
  assert.equal(requests.segmentEnd(8 * MIB + 5, SIZE, AHEAD_UNIT_BYTES), 24 * MIB)
  assert.equal(requests.segmentEnd(8 * MIB, 9 * MIB + 5, AHEAD_UNIT_BYTES), 9 * MIB + 5)
  requests.shrink()
  assert.equal(requests.segmentEnd(8 * MIB, SIZE, AHEAD_UNIT_BYTES), 16 * MIB)
})

test('a request makes way only for a part that it would bring, but not soon', async () => {
  const { requests, bringTo } = await setUp((signal) => aborted(signal))
  let isOver = false
  const request = bringTo(20 * MIB).finally(() => {
    isOver = true
  })
  requests.makeWayFor([{ start: MIB, end: 8 * MIB }], 0)
  requests.makeWayFor([{ start: 20 * MIB, end: 30 * MIB }], 0)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([isOver, requests.end], [false, 20 * MIB])
  requests.makeWayFor([{ start: 15 * MIB, end: 16 * MIB }], 0)
  assert.equal(await request, false)
  assert.equal(requests.end, 0)
})
