import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Clock } from '../../../../testkit/clock.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { until } from '../../../../testkit/memory/read-body.ts'
import { aborted, pour, ScriptedSource, sends } from '../../../../testkit/registries/scripted-source.ts'
import { pull, setUpFlights, wantOf } from '../../support/flights.ts'

test('a source is not given up while the disk is what is slow', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(1_000_000)
  const store = new MemoryStore()
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUpFlights([source], { store, policy: { progressTimeoutMs: 20 } })
  store.pauseWrites()
  const pulled = pull(flights, wantOf(bytes))
  await until(() => (flights.get(digestOf(bytes))?.position ?? 0) >= store.windowBytes)
  await clock.pass(80)
  store.resumeWrites()
  assert.ok((await pulled).equals(bytes))
  assert.deepEqual(source.attempts, [0])
})

test('a source whose bytes wait for the disk is not given up, although it sends nothing meanwhile', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(100_000)
  const store = new MemoryStore()
  let goOn = (): void => {}
  const source = new ScriptedSource('registry', [
    async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 1000)
      await Promise.race([new Promise<void>((resolve) => (goOn = resolve)), aborted(signal)])
      await pour(intake, bytes)
    },
  ])
  const { flights } = setUpFlights([source], { store, policy: { progressTimeoutMs: 20 } })
  store.pauseWrites()
  const pulled = pull(flights, wantOf(bytes))
  await until(() => flights.get(digestOf(bytes))?.position === 1000)
  await clock.pass(80)
  store.resumeWrites()
  goOn()
  assert.ok((await pulled).equals(bytes))
  assert.deepEqual(source.attempts, [0])
})

test('a source that sends more than it declared is cut off', async () => {
  const bytes = randomBytes(1_000)
  const { flights } = setUpFlights([
    new ScriptedSource('chatty', [
      async ({ intake, signal }) => {
        intake.expect({ size: 1_000, mediaType: undefined })
        const room = intake.buffer()
        if (!intake.filled(Math.min(room.length, 2_000))) await aborted(signal)
      },
    ]),
    new ScriptedSource('right', [sends(bytes)]),
  ])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
})

test('a manifest over the limit is refused, whether its size was declared or not', async () => {
  const declared = new ScriptedSource('declared', [sends(Buffer.alloc(5 * 1024 * 1024))])
  const silent = new ScriptedSource('silent', [
    async ({ intake }) => {
      intake.expect({ size: undefined, mediaType: undefined })
      await pour(intake, Buffer.alloc(5 * 1024 * 1024))
    },
  ])
  for (const source of [declared, silent]) {
    const { flights } = setUpFlights([source])
    await assert.rejects(pull(flights, wantOf(randomBytes(10), 'manifest')), { code: 'too-large' })
  }
})

test('content whose size no source declares is taken', async () => {
  const bytes = randomBytes(150_000)
  const { flights } = setUpFlights([
    new ScriptedSource('chunked', [
      async ({ intake }) => {
        intake.expect({ size: undefined, mediaType: undefined })
        await pour(intake, bytes)
      },
    ]),
  ])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
})

test('a source that goes on after its attempt is over starts no timer', async () => {
  const bytes = randomBytes(200_000)
  let declareAgain = (): void => {}
  const source = new ScriptedSource('slow', [
    async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 100_000)
      declareAgain = () => intake.expect({ size: bytes.length, mediaType: undefined })
      await aborted(signal)
    },
  ])
  const { flights } = setUpFlights([source])
  const { flight } = flights.join(wantOf(bytes))
  await until(() => flight.position === 100_000)
  await flights.stop()
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  declareAgain()
  assert.equal(timers(), before)
})
