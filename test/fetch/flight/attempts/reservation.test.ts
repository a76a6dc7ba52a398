import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../../src/ports/failure.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { pour, ScriptedSource } from '../../../../testkit/registries/scripted-source.ts'
import { flightEnd, pull, wantOf } from '../../support/flights.ts'
import { setUpPassThrough as setUp } from '../../support/pass-through.ts'

const MIB = 1024 * 1024

test('room for a blob is reserved before its first byte, and released when the blob is stored', async () => {
  const bytes = randomBytes(90_000)
  let reserved: number | undefined
  const store = new MemoryStore({ limitBytes: 100_000 })
  const want = wantOf(bytes)
  const source = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await new Promise((resolve) => setImmediate(resolve))
      reserved = store.reserved.get(want.digest)
      await pour(intake, bytes)
    },
  ])
  const { flights } = setUp([source], { store })
  const end = flightEnd(want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.equal((await end).isStored, true)
  assert.equal(reserved, bytes.length)
  assert.equal(store.reserved.size, 0)
})

test('room is reserved for the size that upstream declares, and step by step for a size that only peers declare', async () => {
  const bytes = randomBytes(20 * MIB)
  const store = new MemoryStore()
  const want = wantOf(bytes)
  const reserved: (number | undefined)[] = []
  const notes = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    reserved.push(store.reserved.get(want.digest))
  }
  const peers = new ScriptedSource(
    'peers',
    [
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await notes()
        await pour(intake, bytes, 9 * MIB)
        await notes()
        throw new Failure('absent', 'there is no more')
      },
    ],
    'peer',
  )
  const registry = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await notes()
      await pour(intake, bytes)
    },
  ])
  const { flights } = setUp([peers, registry], { store })
  const end = flightEnd(want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.equal((await end).isStored, true)
  assert.deepEqual(reserved, [16 * MIB, bytes.length, bytes.length])
})
