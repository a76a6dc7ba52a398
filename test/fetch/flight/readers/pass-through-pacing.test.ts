import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../../src/ports/failure.ts'
import { Clock } from '../../../../testkit/clock.ts'
import { ScriptedSource, sends } from '../../../../testkit/registries/scripted-source.ts'
import { flightEnd, never, openContent, pull, readFrom, readWhole, wantOf } from '../../support/flights.ts'
import { assertNothingLeft, setUpPassThrough as setUp, sourceStopped } from '../../support/pass-through.ts'

test('a pass-through blob comes at the pace of its slowest reader, and its source is not given up for that', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(900_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUp([source], { policy: { progressTimeoutMs: 60 } })
  const want = wantOf(bytes)
  const slow = await openContent(flights, want)
  const quick = pull(flights, want)
  // Slower all in all than the stall limit, but never without a step for so long.
  const body = await readWhole(slow, () => clock.pass(8))
  assert.ok(body.equals(bytes))
  assert.ok((await quick).equals(bytes))
  assert.deepEqual(source.attempts, [0])
})

test('a reader that has stopped is dismissed, and the others get the whole pass-through blob', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(3_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights, store } = setUp([source], { policy: { progressTimeoutMs: 100 } })
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const stuck = await openContent(flights, want)
  await readFrom(stuck, 0, 10_000)
  const bodies = await clock.until(Promise.all([pull(flights, want), pull(flights, want)]))
  for (const body of bodies) assert.ok(body.equals(bytes))
  assert.equal((await clock.until(end)).error, undefined)
  await assert.rejects(async () => stuck.readable(10_000, { signal: never }), { code: 'stalled' })
  await assert.rejects(stuck.read(Buffer.alloc(10), 10_000), { code: 'stalled' })
  await stuck.close()
  assert.deepEqual(source.attempts, [0])
  assertNothingLeft(store)
})

test('the only reader has more time than one that keeps others waiting, but not unlimited time', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(1_000_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])], {
    policy: { progressTimeoutMs: 40 },
  })
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const content = await openContent(flights, want)
  await readFrom(content, 0, 10_000)
  const started = Date.now()
  const { error } = await clock.until(end)
  assert.ok(error instanceof Failure && error.code === 'disk', String(error))
  assert.ok(Date.now() - started >= 160)
  await content.close()
  assertNothingLeft(store)
})

test('a reader that stops before the end of a verified pass-through blob is dismissed', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(150_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])], {
    policy: { progressTimeoutMs: 30 },
  })
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const content = await openContent(flights, want)
  await readFrom(content, 0, 10_000)
  assert.equal((await clock.until(end)).error, undefined)
  await assert.rejects(async () => content.readable(10_000, { signal: never }), { code: 'stalled' })
  await content.close()
  assertNothingLeft(store)
})

test('the other readers lose nothing when one leaves, and a pass-through blob ends when the last one has left', async () => {
  const bytes = randomBytes(3_000_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const [one, two] = await Promise.all([openContent(flights, want), openContent(flights, want)])
  await readFrom(one, 0, 10_000)
  const first = await readFrom(two, 0, 100_000)
  await one.close()
  const second = await readFrom(two, 100_000, 1_500_000)
  assert.ok(Buffer.concat([first, second]).equals(bytes.subarray(0, 1_500_000)))
  await two.close()
  const { error } = await end
  assert.match(String(error), /All clients have left/)
  assertNothingLeft(store)
  assert.ok((await pull(flights, want)).equals(bytes))
})

test('a reader that joins after the start has left memory gets busy, and the blob is not brought a second time', async () => {
  const bytes = randomBytes(2_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUp([source])
  const want = wantOf(bytes)
  const first = await openContent(flights, want)
  await readFrom(first, 0, 1_000_000)
  const late = await openContent(flights, want)
  await assert.rejects(async () => late.readable(0, { signal: never }), { code: 'busy' })
  await late.close()
  const range = await openContent(flights, want)
  const end = readFrom(range, 1_500_000)
  const rest = await readFrom(first, 1_000_000)
  assert.ok(rest.equals(bytes.subarray(1_000_000)))
  assert.ok((await end).equals(bytes.subarray(1_500_000)))
  await Promise.all([first.close(), range.close()])
  assert.deepEqual(source.attempts, [0])
})

test('a reader that joins while the start is in memory gets the whole pass-through blob', async () => {
  const bytes = randomBytes(1_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUp([source])
  const want = wantOf(bytes)
  const first = await openContent(flights, want)
  await sourceStopped(flights.join(want).flight)
  const bodies = await Promise.all([readWhole(first), pull(flights, want)])
  for (const body of bodies) assert.ok(body.equals(bytes))
  assert.deepEqual(source.attempts, [0])
})
