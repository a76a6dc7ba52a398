import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { TAIL_BYTES } from '../../../../src/fetch/flight/bytes/tail-gate.ts'
import { followFlight } from '../../../../src/fetch/flight/follow.ts'
import { Deferred } from '../../../../src/lib/async/deferred.ts'
import { pour, ScriptedSource } from '../../../../testkit/registries/scripted-source.ts'
import { never, openContent, readFrom, setUpFlights, wantOf } from '../../support/flights.ts'
import { setUpPassThrough as setUp, sourceStopped } from '../../support/pass-through.ts'

test('bytes are released while more are on their way, and the tail only when all are verified', async () => {
  const bytes = randomBytes(300_000)
  const rest = new Deferred<void>()
  const source = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, bytes.length - 1)
      await rest.promise
      await pour(intake, bytes)
    },
  ])
  const { flights } = setUpFlights([source])
  const content = await followFlight(flights.join(wantOf(bytes)).flight, { signal: never })
  const atMost = bytes.length - TAIL_BYTES
  let readable = 0
  while (readable < atMost) readable = await content.readable(readable, { signal: never })
  assert.equal(readable, atMost)
  const tail = content.readable(atMost, { signal: never })
  rest.resolve()
  assert.equal(await tail, bytes.length)
  await content.close()
})

test('the tail of a pass-through content is released only when all of it is verified', async () => {
  const bytes = randomBytes(1_000_000)
  const rest = new Deferred<void>()
  const source = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, bytes.length - 1)
      await rest.promise
      await pour(intake, bytes)
    },
  ])
  const { flights } = setUp([source])
  const content = await openContent(flights, wantOf(bytes))
  const gate = bytes.length - TAIL_BYTES
  const first = await readFrom(content, 0, gate)
  const tail = content.readable(gate, { signal: never })
  await sourceStopped(flights.join(wantOf(bytes)).flight)
  assert.ok(tail instanceof Promise)
  rest.resolve()
  assert.equal(await tail, bytes.length)
  assert.ok(Buffer.concat([first, await readFrom(content, gate)]).equals(bytes))
  await content.close()
})
