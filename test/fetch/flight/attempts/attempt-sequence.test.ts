import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { followFlight } from '../../../../src/fetch/flight/follow.ts'
import { subscribe } from '../../../../src/observe/events.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { Clock } from '../../../../testkit/clock.ts'
import {
  diesAt,
  fails,
  pour,
  ScriptedSource,
  sends,
  stallsAt,
} from '../../../../testkit/registries/scripted-source.ts'
import { flightEnd, never, pull, readWhole, setUpFlights, wantOf } from '../../support/flights.ts'
import { peer, upstream } from '../../support/peers.ts'

test('the next source continues at the offset where a source has died', async () => {
  const bytes = randomBytes(500_000)
  const first = new ScriptedSource('first', [diesAt(bytes, 200_000)])
  const second = new ScriptedSource('second', [sends(bytes)])
  const { flights } = setUpFlights([first, second])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.deepEqual(first.attempts, [0])
  assert.deepEqual(second.attempts, [200_000])
})

test('the only source is asked again from where it broke off', async () => {
  const bytes = randomBytes(500_000)
  const source = new ScriptedSource('only', [diesAt(bytes, 100_000), diesAt(bytes, 300_000), sends(bytes)])
  const { flights } = setUpFlights([source])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.deepEqual(source.attempts, [0, 100_000, 300_000])
})

test('a source that stalls is given up for the next one', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(500_000)
  const first = new ScriptedSource('first', [stallsAt(bytes, 123_456)])
  const second = new ScriptedSource('second', [sends(bytes)])
  const { flights } = setUpFlights([first, second], { policy: { progressTimeoutMs: 60 } })
  assert.ok((await clock.until(pull(flights, wantOf(bytes)))).equals(bytes))
  assert.deepEqual(second.attempts, [123_456])
})

test('peers have more time than upstream, because they look for another parent first', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(300_000)
  const { flights } = setUpFlights(
    [
      new ScriptedSource('peers', [stallsAt(bytes, 123_456)], 'peer'),
      new ScriptedSource('upstream', [sends(bytes)]),
    ],
    { policy: { progressTimeoutMs: 60 } },
  )
  const began = Date.now()
  assert.ok((await clock.until(pull(flights, wantOf(bytes)))).equals(bytes))
  assert.ok(Date.now() - began >= 2.5 * 60)
})

test('a flight fails with unavailable when one source does not have the content and another cannot be asked', async () => {
  const { flights } = setUpFlights([
    new ScriptedSource('a', [fails(new Failure('absent', 'not here'))]),
    new ScriptedSource('b', [fails(new Failure('unavailable', 'no answer'))]),
  ])
  await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'unavailable' })
})

test('a source that refuses is asked once, and one that may recover as often as the policy says', async () => {
  const denied = new ScriptedSource('a', [fails(new Failure('denied', 'who are you?'))])
  const down = new ScriptedSource('b', [fails(new Failure('unavailable', 'no answer'))])
  const { flights } = setUpFlights([denied, down])
  await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'unavailable' })
  assert.equal(denied.attempts.length, 1)
  assert.equal(down.attempts.length, 3)
})

test('after wrong bytes readers end short, their source is blamed, and the next source is asked', async () => {
  const bytes = randomBytes(400_000)
  const wrong = Buffer.from(bytes)
  wrong[1000] = (wrong[1000] ?? 0) ^ 1
  const wrongSource = new ScriptedSource('wrong', [sends(wrong)])
  const rightSource = new ScriptedSource('right', [sends(bytes)])
  const { flights, store } = setUpFlights([wrongSource, rightSource])
  const want = wantOf(bytes)
  const blamed: string[] = []
  const stop = subscribe(
    'verify.failed',
    (event) => event.digest === want.digest && blamed.push(event.source),
  )
  const end = flightEnd(want.digest)
  const content = await followFlight(flights.join(want).flight, { signal: never })
  assert.ok((await content.readable(0, { signal: never })) > 0)
  await assert.rejects(readWhole(content), { code: 'corrupt' })
  assert.equal((await end).error, undefined)
  stop()
  assert.deepEqual(blamed, ['wrong'])
  assert.equal(store.quarantined.length, 1)
  assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
})

test('a reader that has no bytes yet does not notice that the first source sent wrong ones', async () => {
  const bytes = randomBytes(5_000)
  const { flights } = setUpFlights([
    new ScriptedSource('wrong', [sends(randomBytes(5_000))]),
    new ScriptedSource('right', [sends(bytes)]),
  ])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
})

test('a reader that was promised another size ends short', async () => {
  const bytes = randomBytes(5_000)
  const { flights } = setUpFlights([
    new ScriptedSource('wrong', [sends(randomBytes(6_000))]),
    new ScriptedSource('right', [sends(bytes)]),
  ])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  await assert.rejects(pull(flights, want), { code: 'corrupt', details: { expected: 6_000, found: 5_000 } })
  assert.equal((await end).error, undefined)
})

test('a flight fails with corrupt when all sources send wrong bytes, and asks none of them twice', async () => {
  const wrongSources = ['a', 'b', 'c'].map((name) => new ScriptedSource(name, [sends(randomBytes(70_000))]))
  const { flights, store } = setUpFlights(wrongSources)
  const want = wantOf(randomBytes(70_000))
  const end = flightEnd(want.digest)
  await assert.rejects(pull(flights, want), { code: 'corrupt' })
  assert.equal(((await end).error as Failure).code, 'corrupt')
  for (const wrongSource of wrongSources) assert.equal(wrongSource.attempts.length, 1)
  assert.equal(store.stored.size, 0)
})

test('a flight ends although its source says another size in each attempt', async () => {
  let size = 3_000_000
  const fickle = new ScriptedSource('fickle', [
    async ({ intake }) => {
      size += 1
      intake.expect({ size, mediaType: undefined })
      await pour(intake, Buffer.alloc(size), 2_000_000)
      throw new Failure('unavailable', 'broke')
    },
  ])
  const { flights } = setUpFlights([fickle])
  await assert.rejects(pull(flights, wantOf(randomBytes(10))))
  assert.ok(fickle.attempts.length < 20, `${fickle.attempts.length} attempts`)
})

test('the digest decides between two sources that say different sizes', async () => {
  const bytes = randomBytes(200_000)
  const wrongSource = new ScriptedSource('wrong', [diesAt(randomBytes(300_000), 150_000)])
  const rightSource = new ScriptedSource('right', [sends(bytes)])
  const { flights, store } = setUpFlights([wrongSource, rightSource])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  await pull(flights, want).catch(() => {})
  assert.equal((await end).error, undefined)
  assert.ok(store.stored.has(want.digest))
})

test('a peer is believed less about the size than upstream', async () => {
  const bytes = randomBytes(500_000)
  const registry = upstream(diesAt(bytes, 100_000), sends(bytes))
  const wrongSource = peer('wrong', sends(randomBytes(600_000)))
  const { flights } = setUpFlights([registry, wrongSource])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.deepEqual(registry.attempts, [0, 100_000])
  assert.equal(wrongSource.attempts.length, 1)
})
