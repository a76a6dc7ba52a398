import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it } from 'node:test'
import { TAIL_BYTES } from '../../src/fetch/flight/bytes/tail-gate.ts'
import type { Flight } from '../../src/fetch/flight/flight.ts'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import type { Flights } from '../../src/fetch/flight/flights.ts'
import { followFlight } from '../../src/fetch/flight/follow.ts'
import { readManifest } from '../../src/fetch/manifests/manifest-reading.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Source, Want } from '../../src/ports/source.ts'
import { Clock } from '../../testkit/clock.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { diesAt, pour, ScriptedSource, sends, stallsAt } from '../../testkit/registries/scripted-source.ts'
import { newFlights, wantOf } from './test-flights.ts'

/** Nobody is given up for a test that is slow; all who want the same here have come before time passes. */
const PATIENT: FlightPolicy = {
  ...DEFAULT_FLIGHT_POLICY,
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 1,
  moreReadersTimeoutMs: 1,
}
const LIMIT = 100_000
const MIB = 1024 * 1024
const never = new AbortController().signal
setMaxListeners(0, never)
function setUp(sources: readonly Source[], store = new MemoryStore({ limitBytes: LIMIT }), policy = PATIENT) {
  return { store, flights: newFlights(sources, store, policy) }
}

/** Reads up to `end`, or all there is; waits for `pace` before each step. */
async function readFrom(
  content: Content,
  start: number,
  end = content.size,
  pace: () => Promise<void> = async () => {},
): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let offset = start; offset < end; ) {
    const readable = await content.readable(offset, { signal: never })
    await pace()
    const target = Buffer.alloc(Math.min(30_000, Math.min(readable, end) - offset))
    const length = await content.read(target, offset)
    assert.ok(length > 0)
    parts.push(target.subarray(0, length))
    offset += length
  }
  return Buffer.concat(parts)
}

async function readAll(content: Content, pace?: () => Promise<void>): Promise<Buffer> {
  try {
    return await readFrom(content, 0, content.size, pace)
  } finally {
    await content.close()
  }
}

function opening(flights: Flights, want: Want): Promise<Content> {
  return followFlight(flights.join(want).flight, { signal: never })
}

async function pull(flights: Flights, want: Want): Promise<Buffer> {
  return readAll(await opening(flights, want))
}

function ended(digest: Digest): Promise<Events['flight.ended']> {
  return new Promise((resolve) => {
    const stop = subscribe('flight.ended', (fact) => {
      if (fact.digest !== digest) return
      stop()
      resolve(fact)
    })
  })
}

/** Resolves once the source has been stopped by a full window: nothing moves any more until a reader does. */
async function heldUp(flight: Flight): Promise<void> {
  for (let last = -1; last !== flight.position; ) {
    last = flight.position
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

function nothingIsLeft(store: MemoryStore): void {
  assert.equal(store.incomingCount, 0)
  assert.equal(store.stored.size, 0)
  assert.equal(store.partials.size, 0)
  assert.equal(store.reserved.size, 0)
}

describe('a blob that cannot be kept', () => {
  for (const clients of [1, 20]) {
    it(`reaches ${clients} ${clients === 1 ? 'client' : 'clients'} whole, and is brought once`, async () => {
      const bytes = randomBytes(3_000_000)
      const source = new ScriptedSource('registry', [sends(bytes)])
      const { flights, store } = setUp([source])
      const want = wantOf(bytes)
      const end = ended(want.digest)
      const bodies = await Promise.all(Array.from({ length: clients }, () => pull(flights, want)))
      for (const body of bodies) assert.ok(body.equals(bytes))
      assert.deepEqual(source.attempts, [0])
      const { isStored, passThroughReason, error, size, waiters } = await end
      assert.deepEqual([isStored, error, size, waiters], [false, undefined, bytes.length, clients])
      assert.match(String(passThroughReason), /no room/)
      nothingIsLeft(store)
      assert.equal(flights.get(want.digest), undefined)
    })
  }

  it('is fetched again by the next who asks', async () => {
    const bytes = randomBytes(1_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    await pull(flights, want)
    await end
    assert.ok((await pull(flights, want)).equals(bytes))
    assert.deepEqual(source.attempts, [0, 0])
  })

  it('goes on in memory when the disk fills up in the middle', async () => {
    const bytes = randomBytes(3_000_000)
    const store = new MemoryStore()
    store.diskBytes = 1_234_567
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source], store)
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const bodies = await Promise.all(Array.from({ length: 20 }, () => pull(flights, want)))
    for (const body of bodies) assert.ok(body.equals(bytes))
    assert.deepEqual(source.attempts, [0])
    assert.match(String((await end).passThroughReason), /no space left/)
    nothingIsLeft(store)
    const small = randomBytes(50_000)
    const next = setUp([new ScriptedSource('registry', [sends(small)])], store).flights
    const stored = ended(digestOf(small))
    assert.ok((await pull(next, wantOf(small))).equals(small))
    assert.equal((await stored).isStored, true)
  })

  it('is held back at its end until it is verified', async () => {
    const bytes = randomBytes(1_000_000)
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const source = new ScriptedSource('registry', [
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, bytes.length - 1)
        await held
        await pour(intake, bytes)
      },
    ])
    const { flights } = setUp([source])
    const content = await opening(flights, wantOf(bytes))
    const gate = bytes.length - TAIL_BYTES
    const first = await readFrom(content, 0, gate)
    const tail = content.readable(gate, { signal: never })
    await heldUp(flights.join(wantOf(bytes)).flight)
    assert.ok(tail instanceof Promise)
    goOn()
    assert.equal(await tail, bytes.length)
    assert.ok(Buffer.concat([first, await readFrom(content, gate)]).equals(bytes))
    await content.close()
  })

  it('goes on with the next source where one has died', async () => {
    const bytes = randomBytes(2_000_000)
    const first = new ScriptedSource('first', [diesAt(bytes, 700_000)])
    const second = new ScriptedSource('second', [sends(bytes)])
    const { flights } = setUp([first, second])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
    assert.deepEqual(first.attempts, [0])
    assert.deepEqual(second.attempts, [700_000])
  })

  it('is at the pace of its slowest reader, whom the source is not blamed for', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(900_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source], undefined, { ...PATIENT, progressTimeoutMs: 60 })
    const want = wantOf(bytes)
    const slow = await opening(flights, want)
    const quick = pull(flights, want)
    // Slower all in all than the stall limit, but never without a step for so long.
    const body = await readAll(slow, () => clock.pass(8))
    assert.ok(body.equals(bytes))
    assert.ok((await quick).equals(bytes))
    assert.deepEqual(source.attempts, [0])
  })

  it('does not wait for a reader that has stopped: it ends short, and the others get all', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(3_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights, store } = setUp([source], undefined, { ...PATIENT, progressTimeoutMs: 100 })
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const stuck = await opening(flights, want)
    await readFrom(stuck, 0, 10_000)
    const bodies = await clock.until(Promise.all([pull(flights, want), pull(flights, want)]))
    for (const body of bodies) assert.ok(body.equals(bytes))
    assert.equal((await clock.until(end)).error, undefined)
    await assert.rejects(async () => stuck.readable(10_000, { signal: never }), { code: 'stalled' })
    await assert.rejects(stuck.read(Buffer.alloc(10), 10_000), { code: 'stalled' })
    await stuck.close()
    assert.deepEqual(source.attempts, [0])
    nothingIsLeft(store)
  })

  it('waits longer for one that holds up nobody else, but not for ever', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(1_000_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])], undefined, {
      ...PATIENT,
      progressTimeoutMs: 40,
    })
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const content = await opening(flights, want)
    await readFrom(content, 0, 10_000)
    const started = Date.now()
    const { error } = await clock.until(end)
    assert.ok(error instanceof Failure && error.code === 'disk', String(error))
    assert.ok(Date.now() - started >= 160)
    await content.close()
    nothingIsLeft(store)
  })

  it('does not wait for ever for a reader that has all but the end', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(150_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])], undefined, {
      ...PATIENT,
      progressTimeoutMs: 30,
    })
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const content = await opening(flights, want)
    await readFrom(content, 0, 10_000)
    assert.equal((await clock.until(end)).error, undefined)
    await assert.rejects(async () => content.readable(10_000, { signal: never }), { code: 'stalled' })
    await content.close()
    nothingIsLeft(store)
  })

  it('loses nothing for the others when one leaves, and ends when the last has left', async () => {
    const bytes = randomBytes(3_000_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const [one, two] = await Promise.all([opening(flights, want), opening(flights, want)])
    await readFrom(one, 0, 10_000)
    const first = await readFrom(two, 0, 100_000)
    await one.close()
    const second = await readFrom(two, 100_000, 1_500_000)
    assert.ok(Buffer.concat([first, second]).equals(bytes.subarray(0, 1_500_000)))
    await two.close()
    const { error } = await end
    assert.match(String(error), /All clients have left/)
    nothingIsLeft(store)
    assert.ok((await pull(flights, want)).equals(bytes))
  })

  it('turns away who comes too late, and brings it no second time', async () => {
    const bytes = randomBytes(2_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source])
    const want = wantOf(bytes)
    const first = await opening(flights, want)
    await readFrom(first, 0, 1_000_000)
    const late = await opening(flights, want)
    await assert.rejects(async () => late.readable(0, { signal: never }), { code: 'busy' })
    await late.close()
    const range = await opening(flights, want)
    const end = readFrom(range, 1_500_000)
    const rest = await readFrom(first, 1_000_000)
    assert.ok(rest.equals(bytes.subarray(1_000_000)))
    assert.ok((await end).equals(bytes.subarray(1_500_000)))
    await Promise.all([first.close(), range.close()])
    assert.deepEqual(source.attempts, [0])
  })

  it('takes in who comes while nothing is forgotten', async () => {
    const bytes = randomBytes(1_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source])
    const want = wantOf(bytes)
    const first = await opening(flights, want)
    await heldUp(flights.join(want).flight)
    const bodies = await Promise.all([readAll(first), pull(flights, want)])
    for (const body of bodies) assert.ok(body.equals(bytes))
    assert.deepEqual(source.attempts, [0])
  })

  it('gives many their ranges of it, in one transfer', async () => {
    const bytes = randomBytes(2_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights, store } = setUp([source])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const content = await opening(flights, want)
        const part = await readFrom(content, n * 200_000, (n + 1) * 200_000)
        assert.ok(part.equals(bytes.subarray(n * 200_000, (n + 1) * 200_000)))
        await content.close()
      }),
    )
    assert.equal((await end).error, undefined)
    assert.deepEqual(source.attempts, [0])
    nothingIsLeft(store)
  })

  it('with a wrong digest ends short for those who have some of it', async () => {
    const bytes = randomBytes(2_000_000)
    const wrong = Buffer.from(bytes)
    wrong[1_000] = (wrong[1_000] ?? 0) ^ 1
    const liar = new ScriptedSource('liar', [sends(wrong)])
    const honest = new ScriptedSource('honest', [sends(bytes)])
    const { flights, store } = setUp([liar, honest])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const outcomes = await Promise.allSettled([pull(flights, want), pull(flights, want)])
    for (const outcome of outcomes)
      assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'corrupt')
    await end
    assert.equal(store.quarantined.length, 0)
    nothingIsLeft(store)
  })

  it('with a wrong digest is asked of the next source for those who have nothing of it', async () => {
    const bytes = randomBytes(120_000)
    const limited = new MemoryStore({ limitBytes: 10_000 })
    const small = bytes.subarray(0, 50_000)
    const wrong = randomBytes(50_000)
    const liar = new ScriptedSource('liar', [sends(wrong)])
    const honest = new ScriptedSource('honest', [sends(small)])
    const { flights } = setUp([liar, honest], limited)
    const want = wantOf(small)
    assert.ok((await pull(flights, want)).equals(small))
    assert.deepEqual([liar.attempts, honest.attempts], [[0], [0]])
    nothingIsLeft(limited)
  })

  it('ends at a stop, short for everyone, and leaves nothing behind', async () => {
    const bytes = randomBytes(2_000_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [stallsAt(bytes, 900_000)])])
    const want = wantOf(bytes)
    const content = await opening(flights, want)
    const reading = readAll(content)
    await heldUp(flights.join(want).flight)
    const stopped = flights.stop()
    await assert.rejects(reading, { code: 'stopping' })
    await stopped
    nothingIsLeft(store)
  })

  it('ends at a stop also when only its readers are waited for', async () => {
    const bytes = randomBytes(150_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
    const want = wantOf(bytes)
    const content = await opening(flights, want)
    await content.readable(bytes.length - 1, { signal: never })
    await flights.stop()
    await content.close()
    nothingIsLeft(store)
  })

  it('is refused at once when it is larger than memory and nobody says how large', async () => {
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
    nothingIsLeft(store)
    const small = randomBytes(150_000)
    const other = new ScriptedSource('chunked', [
      async ({ intake }) => {
        intake.expect({ size: undefined, mediaType: undefined })
        await pour(intake, small)
      },
    ])
    assert.ok((await pull(setUp([other], store).flights, wantOf(small))).equals(small))
    nothingIsLeft(store)
  })

  it('may be a manifest of any size', async () => {
    for (const size of [500, 2_000_000]) {
      const bytes = randomBytes(size)
      const type = 'application/vnd.oci.image.manifest.v1+json'
      const source = new ScriptedSource('registry', [sends(bytes, type)])
      const { flights, store } = setUp([source], new MemoryStore({ limitBytes: 100 }))
      const want = wantOf(bytes, 'manifest')
      const end = ended(want.digest)
      const readers = await Promise.all(Array.from({ length: 5 }, () => opening(flights, want)))
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
      nothingIsLeft(store)
    }
  })
})

describe('a blob that is kept', () => {
  it('has room reserved before its first byte, and none after it is stored', async () => {
    const bytes = randomBytes(90_000)
    let reserved: number | undefined
    const store = new MemoryStore({ limitBytes: LIMIT })
    const want = wantOf(bytes)
    const source = new ScriptedSource('registry', [
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await new Promise((resolve) => setImmediate(resolve))
        reserved = store.reserved.get(want.digest)
        await pour(intake, bytes)
      },
    ])
    const { flights } = setUp([source], store)
    const end = ended(want.digest)
    assert.ok((await pull(flights, want)).equals(bytes))
    assert.equal((await end).isStored, true)
    assert.equal(reserved, bytes.length)
    assert.equal(store.reserved.size, 0)
  })

  it('has room reserved for all that upstream says there is, of what peers say only as it comes', async () => {
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
    const { flights } = setUp([peers, registry], store)
    const end = ended(want.digest)
    assert.ok((await pull(flights, want)).equals(bytes))
    assert.equal((await end).isStored, true)
    assert.deepEqual(reserved, [16 * MIB, bytes.length, bytes.length])
  })

  it('does not wait for its readers, however slow', async () => {
    const bytes = randomBytes(90_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const slow = await opening(flights, want)
    await end
    assert.equal(store.incomingCount, 0)
    assert.ok((await readAll(slow)).equals(bytes))
  })
})
