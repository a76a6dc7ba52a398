import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { readManifest } from '../../../src/fetch/manifests/manifest-reading.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { diesAt, pour, ScriptedSource, sends, stallsAt } from '../../../testkit/registries/scripted-source.ts'
import { flightEnd, never, openContent, pull, readFrom, readWhole, wantOf } from '../support/flights.ts'
import { assertNothingLeft, setUpPassThrough as setUp, sourceStopped } from '../support/pass-through.ts'

for (const clients of [1, 20]) {
  test(`a pass-through blob reaches ${clients} ${clients === 1 ? 'client' : 'clients'} whole, and is brought once`, async () => {
    const bytes = randomBytes(3_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights, store } = setUp([source])
    const want = wantOf(bytes)
    const end = flightEnd(want.digest)
    const bodies = await Promise.all(Array.from({ length: clients }, () => pull(flights, want)))
    for (const body of bodies) assert.ok(body.equals(bytes))
    assert.deepEqual(source.attempts, [0])
    const { isStored, passThroughReason, error, size, waiters } = await end
    assert.deepEqual([isStored, error, size, waiters], [false, undefined, bytes.length, clients])
    assert.match(String(passThroughReason), /no room/)
    assertNothingLeft(store)
    assert.equal(flights.get(want.digest), undefined)
  })
}

test('a pass-through blob is fetched again for the next client', async () => {
  const bytes = randomBytes(1_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUp([source])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  await pull(flights, want)
  await end
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(source.attempts, [0, 0])
})

test('a blob that fills the disk halfway is passed through from there on', async () => {
  const bytes = randomBytes(3_000_000)
  const store = new MemoryStore()
  store.diskBytes = 1_234_567
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUp([source], { store })
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const bodies = await Promise.all(Array.from({ length: 20 }, () => pull(flights, want)))
  for (const body of bodies) assert.ok(body.equals(bytes))
  assert.deepEqual(source.attempts, [0])
  assert.match(String((await end).passThroughReason), /no space left/)
  assertNothingLeft(store)
  const small = randomBytes(50_000)
  const next = setUp([new ScriptedSource('registry', [sends(small)])], { store }).flights
  const stored = flightEnd(digestOf(small))
  assert.ok((await pull(next, wantOf(small))).equals(small))
  assert.equal((await stored).isStored, true)
})

test('the next source continues a pass-through blob where a source has died', async () => {
  const bytes = randomBytes(2_000_000)
  const first = new ScriptedSource('first', [diesAt(bytes, 700_000)])
  const second = new ScriptedSource('second', [sends(bytes)])
  const { flights } = setUp([first, second])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.deepEqual(first.attempts, [0])
  assert.deepEqual(second.attempts, [700_000])
})

test('ten clients get their ranges of a pass-through blob from one transfer', async () => {
  const bytes = randomBytes(2_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights, store } = setUp([source])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  await Promise.all(
    Array.from({ length: 10 }, async (_, n) => {
      const content = await openContent(flights, want)
      const part = await readFrom(content, n * 200_000, (n + 1) * 200_000)
      assert.ok(part.equals(bytes.subarray(n * 200_000, (n + 1) * 200_000)))
      await content.close()
    }),
  )
  assert.equal((await end).error, undefined)
  assert.deepEqual(source.attempts, [0])
  assertNothingLeft(store)
})

test('a pass-through blob with a wrong digest ends short for readers that have some of it', async () => {
  const bytes = randomBytes(2_000_000)
  const wrong = Buffer.from(bytes)
  wrong[1_000] = (wrong[1_000] ?? 0) ^ 1
  const wrongSource = new ScriptedSource('wrong', [sends(wrong)])
  const rightSource = new ScriptedSource('right', [sends(bytes)])
  const { flights, store } = setUp([wrongSource, rightSource])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const outcomes = await Promise.allSettled([pull(flights, want), pull(flights, want)])
  for (const outcome of outcomes)
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'corrupt')
  await end
  assert.equal(store.quarantined.length, 0)
  assertNothingLeft(store)
})

test('a pass-through blob with a wrong digest is asked of the next source for readers that have nothing of it', async () => {
  const bytes = randomBytes(120_000)
  const limited = new MemoryStore({ limitBytes: 10_000 })
  const small = bytes.subarray(0, 50_000)
  const wrong = randomBytes(50_000)
  const wrongSource = new ScriptedSource('wrong', [sends(wrong)])
  const rightSource = new ScriptedSource('right', [sends(small)])
  const { flights } = setUp([wrongSource, rightSource], { store: limited })
  const want = wantOf(small)
  assert.ok((await pull(flights, want)).equals(small))
  assert.deepEqual([wrongSource.attempts, rightSource.attempts], [[0], [0]])
  assertNothingLeft(limited)
})

test('a stop ends a pass-through blob short for all readers, and leaves nothing behind', async () => {
  const bytes = randomBytes(2_000_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [stallsAt(bytes, 900_000)])])
  const want = wantOf(bytes)
  const content = await openContent(flights, want)
  const reading = readWhole(content)
  await sourceStopped(flights.join(want).flight)
  const stopped = flights.stop()
  await assert.rejects(reading, { code: 'stopping' })
  await stopped
  assertNothingLeft(store)
})

test('a stop ends a pass-through blob that waits only for its readers', async () => {
  const bytes = randomBytes(150_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
  const want = wantOf(bytes)
  const content = await openContent(flights, want)
  await content.readable(bytes.length - 1, { signal: never })
  await flights.stop()
  await content.close()
  assertNothingLeft(store)
})

test('a pass-through blob that is larger than the window fails at once if no source says its size', async () => {
  const bytes = randomBytes(2_000_000)
  const source = new ScriptedSource('chunked', [
    async ({ intake }) => {
      intake.expect({ size: undefined, mediaType: undefined })
      await pour(intake, bytes)
    },
  ])
  const { flights, store } = setUp([source])
  await assert.rejects(pull(flights, wantOf(bytes)), { code: 'disk' })
  assert.deepEqual(source.attempts, [0])
  assertNothingLeft(store)
  const small = randomBytes(150_000)
  const other = new ScriptedSource('chunked', [
    async ({ intake }) => {
      intake.expect({ size: undefined, mediaType: undefined })
      await pour(intake, small)
    },
  ])
  assert.ok((await pull(setUp([other], { store }).flights, wantOf(small))).equals(small))
  assertNothingLeft(store)
})

test('a manifest of any size can be passed through', async () => {
  for (const size of [500, 2_000_000]) {
    const bytes = randomBytes(size)
    const type = 'application/vnd.oci.image.manifest.v1+json'
    const source = new ScriptedSource('registry', [sends(bytes, type)])
    const { flights, store } = setUp([source], { store: new MemoryStore({ limitBytes: 100 }) })
    const want = wantOf(bytes, 'manifest')
    const end = flightEnd(want.digest)
    const readers = await Promise.all(Array.from({ length: 5 }, () => openContent(flights, want)))
    const manifests = await Promise.all(
      readers.map(async (content) => {
        try {
          return await readManifest(content, { signal: never })
        } finally {
          await content.close()
        }
      }),
    )
    for (const manifest of manifests) assert.ok(Buffer.from(manifest.bytes).equals(bytes))
    assert.equal((await end).isStored, false)
    assertNothingLeft(store)
  }
})
