import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it } from 'node:test'
import { TAIL_BYTES } from '../../../src/fetch/flight/bytes/tail-gate.ts'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { followFlight } from '../../../src/fetch/flight/follow.ts'
import { subscribe } from '../../../src/observe/events.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Content } from '../../../src/ports/content.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { Source, Want } from '../../../src/ports/source.ts'
import { Clock } from '../../../testkit/clock.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { until } from '../../../testkit/memory/read-body.ts'
import {
  aborted,
  diesAt,
  fails,
  pour,
  ScriptedSource,
  sends,
  stallsAt,
} from '../../../testkit/registries/scripted-source.ts'
import { newFlights, wantOf } from '../test-flights.ts'

/** No source is given up for a test that is slow. */
const PATIENT: FlightPolicy = {
  ...DEFAULT_FLIGHT_POLICY,
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 1,
}
const never = new AbortController().signal
setMaxListeners(0, never)
function setUp(sources: readonly Source[], policy: FlightPolicy = PATIENT, store = new MemoryStore()) {
  return { store, flights: newFlights(sources, store, policy) }
}

async function readAll(content: Content, chunk = 65536): Promise<Buffer> {
  const parts: Buffer[] = []
  let offset = 0
  try {
    while (offset < content.size) {
      const readable = await content.readable(offset, { signal: never })
      while (offset < readable) {
        const target = Buffer.alloc(Math.min(chunk, readable - offset))
        const length = await content.read(target, offset)
        if (length === 0) throw new Error('nothing to read where something was readable')
        parts.push(target.subarray(0, length))
        offset += length
      }
    }
  } finally {
    await content.close()
  }
  return Buffer.concat(parts)
}

function ended(digest: Digest): Promise<{ error: Error | undefined; waiters: number }> {
  return new Promise((resolve) => {
    const stop = subscribe('flight.ended', (fact) => {
      if (fact.digest !== digest) return
      stop()
      resolve(fact)
    })
  })
}

async function pull(flights: Flights, want: Want): Promise<Buffer> {
  return readAll(await followFlight(flights.join(want).flight, { signal: never }))
}

describe('a flight', () => {
  it('brings a blob once for twenty who ask for it, whole to each, and stores it', async () => {
    const bytes = randomBytes(1_000_000)
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights, store } = setUp([source])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const bodies = await Promise.all(Array.from({ length: 20 }, () => pull(flights, want)))
    for (const body of bodies) assert.ok(body.equals(bytes))
    assert.deepEqual(source.attempts, [0])
    assert.equal((await end).waiters, 20)
    assert.ok(store.stored.has(want.digest))
    assert.equal(flights.get(want.digest), undefined)
    assert.equal(store.incomingCount, 0)
  })

  it('serves an empty blob', async () => {
    const bytes = Buffer.alloc(0)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    assert.equal((await pull(flights, want)).length, 0)
    await end
    assert.ok(store.stored.has(want.digest))
  })

  it('lets bytes out while more are on their way, but not the tail before it is verified', async () => {
    const bytes = randomBytes(300_000)
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
    const content = await followFlight(flights.join(wantOf(bytes)).flight, { signal: never })
    const atMost = bytes.length - TAIL_BYTES
    let readable = 0
    while (readable < atMost) readable = await content.readable(readable, { signal: never })
    assert.equal(readable, atMost)
    const tail = content.readable(atMost, { signal: never })
    goOn()
    assert.equal(await tail, bytes.length)
    await content.close()
  })

  it('goes on from the same offset with the next source when one dies', async () => {
    const bytes = randomBytes(500_000)
    const first = new ScriptedSource('first', [diesAt(bytes, 200_000)])
    const second = new ScriptedSource('second', [sends(bytes)])
    const { flights } = setUp([first, second])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
    assert.deepEqual(first.attempts, [0])
    assert.deepEqual(second.attempts, [200_000])
  })

  it('asks a lone source again, from where it broke off', async () => {
    const bytes = randomBytes(500_000)
    const source = new ScriptedSource('only', [diesAt(bytes, 100_000), diesAt(bytes, 300_000), sends(bytes)])
    const { flights } = setUp([source])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
    assert.deepEqual(source.attempts, [0, 100_000, 300_000])
  })

  it('has more patience with peers, who look for another way first', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(300_000)
    const { flights } = setUp(
      [
        new ScriptedSource('peers', [stallsAt(bytes, 123_456)], 'peer'),
        new ScriptedSource('upstream', [sends(bytes)]),
      ],
      { ...PATIENT, progressTimeoutMs: 60 },
    )
    const began = Date.now()
    assert.ok((await clock.until(pull(flights, wantOf(bytes)))).equals(bytes))
    assert.ok(Date.now() - began >= 2.5 * 60)
  })

  it('gives a source that stalls up for the next one', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(500_000)
    const first = new ScriptedSource('first', [stallsAt(bytes, 123_456)])
    const second = new ScriptedSource('second', [sends(bytes)])
    const { flights } = setUp([first, second], { ...PATIENT, progressTimeoutMs: 60 })
    assert.ok((await clock.until(pull(flights, wantOf(bytes)))).equals(bytes))
    assert.deepEqual(second.attempts, [123_456])
  })

  it('does not blame the source while it is the disk that is slow', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(1_000_000)
    const store = new MemoryStore()
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source], { ...PATIENT, progressTimeoutMs: 20 }, store)
    store.pauseWrites()
    const pulled = pull(flights, wantOf(bytes))
    await until(() => (flights.get(digestOf(bytes))?.position ?? 0) >= store.windowBytes)
    await clock.pass(80)
    store.resumeWrites()
    assert.ok((await pulled).equals(bytes))
    assert.deepEqual(source.attempts, [0])
  })

  it('tells every waiter the same failure', async () => {
    const bytes = randomBytes(10)
    const gone = new Failure('absent', 'no such blob')
    const { flights, store } = setUp([new ScriptedSource('registry', [fails(gone)])])
    const want = wantOf(bytes)
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => pull(flights, want)))
    for (const outcome of outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason, gone)
    assert.equal(store.incomingCount, 0)
    assert.equal(flights.get(want.digest), undefined)
  })

  it('says unavailable, not absent, when one source has nothing and another cannot be asked', async () => {
    const { flights } = setUp([
      new ScriptedSource('a', [fails(new Failure('absent', 'not here'))]),
      new ScriptedSource('b', [fails(new Failure('unavailable', 'no answer'))]),
    ])
    await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'unavailable' })
  })

  it('asks a source that refuses or lacks it only once, one that may recover as often as the policy says', async () => {
    const denied = new ScriptedSource('a', [fails(new Failure('denied', 'who are you?'))])
    const down = new ScriptedSource('b', [fails(new Failure('unavailable', 'no answer'))])
    const { flights } = setUp([denied, down])
    await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'unavailable' })
    assert.equal(denied.attempts.length, 1)
    assert.equal(down.attempts.length, 3)
  })

  it('never lets a wrong byte complete: readers end short, the liar is blamed, the next source is asked', async () => {
    const bytes = randomBytes(400_000)
    const wrong = Buffer.from(bytes)
    wrong[1000] = (wrong[1000] ?? 0) ^ 1
    const liar = new ScriptedSource('liar', [sends(wrong)])
    const honest = new ScriptedSource('honest', [sends(bytes)])
    const { flights, store } = setUp([liar, honest])
    const want = wantOf(bytes)
    const blamed: string[] = []
    const stop = subscribe('verify.failed', (fact) => fact.digest === want.digest && blamed.push(fact.source))
    const end = ended(want.digest)
    const content = await followFlight(flights.join(want).flight, { signal: never })
    assert.ok((await content.readable(0, { signal: never })) > 0)
    await assert.rejects(readAll(content), { code: 'corrupt' })
    assert.equal((await end).error, undefined)
    stop()
    assert.deepEqual(blamed, ['liar'])
    assert.equal(store.quarantined.length, 1)
    assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
  })

  it('repairs a small wrong body without the reader noticing, for nothing of it was out', async () => {
    const bytes = randomBytes(5_000)
    const { flights } = setUp([
      new ScriptedSource('liar', [sends(randomBytes(5_000))]),
      new ScriptedSource('honest', [sends(bytes)]),
    ])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  })

  it('ends short for a reader who was promised another size', async () => {
    const bytes = randomBytes(5_000)
    const { flights } = setUp([
      new ScriptedSource('liar', [sends(randomBytes(6_000))]),
      new ScriptedSource('honest', [sends(bytes)]),
    ])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    await assert.rejects(pull(flights, want), { code: 'corrupt', details: { expected: 6_000, found: 5_000 } })
    assert.equal((await end).error, undefined)
  })

  it('fails with corrupt when everyone lies, and asks nobody twice', async () => {
    const liars = ['a', 'b', 'c'].map((name) => new ScriptedSource(name, [sends(randomBytes(70_000))]))
    const { flights, store } = setUp(liars)
    const want = wantOf(randomBytes(70_000))
    const end = ended(want.digest)
    await assert.rejects(pull(flights, want), { code: 'corrupt' })
    assert.equal(((await end).error as Failure).code, 'corrupt')
    for (const liar of liars) assert.equal(liar.attempts.length, 1)
    assert.equal(store.stored.size, 0)
  })

  it('does not go on for ever with a source that changes its mind about the size', async () => {
    let size = 3_000_000
    const fickle = new ScriptedSource('fickle', [
      async ({ intake }) => {
        size += 1
        intake.expect({ size, mediaType: undefined })
        await pour(intake, Buffer.alloc(size), 2_000_000)
        throw new Failure('unavailable', 'broke')
      },
    ])
    const { flights } = setUp([fickle])
    await assert.rejects(pull(flights, wantOf(randomBytes(10))))
    assert.ok(fickle.attempts.length < 20, `${fickle.attempts.length} attempts`)
  })

  it('lets the honest one win when two sources name different sizes', async () => {
    const bytes = randomBytes(200_000)
    const liar = new ScriptedSource('liar', [diesAt(randomBytes(300_000), 150_000)])
    const honest = new ScriptedSource('honest', [sends(bytes)])
    const { flights, store } = setUp([liar, honest])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    await pull(flights, want).catch(() => {})
    assert.equal((await end).error, undefined)
    assert.ok(store.stored.has(want.digest))
  })

  it('cuts off a source that sends more than it declared', async () => {
    const bytes = randomBytes(1_000)
    const { flights } = setUp([
      new ScriptedSource('chatty', [
        async ({ intake, signal }) => {
          intake.expect({ size: 1_000, mediaType: undefined })
          const room = intake.buffer()
          if (!intake.filled(Math.min(room.length, 2_000))) await aborted(signal)
        },
      ]),
      new ScriptedSource('honest', [sends(bytes)]),
    ])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  })

  it('refuses a manifest over the limit, declared or not', async () => {
    const declared = new ScriptedSource('declared', [sends(Buffer.alloc(5 * 1024 * 1024))])
    const silent = new ScriptedSource('silent', [
      async ({ intake }) => {
        intake.expect({ size: undefined, mediaType: undefined })
        await pour(intake, Buffer.alloc(5 * 1024 * 1024))
      },
    ])
    for (const source of [declared, silent]) {
      const { flights } = setUp([source])
      await assert.rejects(pull(flights, wantOf(randomBytes(10), 'manifest')), { code: 'too-large' })
    }
  })

  it('takes content whose size nobody declares', async () => {
    const bytes = randomBytes(150_000)
    const { flights } = setUp([
      new ScriptedSource('chunked', [
        async ({ intake }) => {
          intake.expect({ size: undefined, mediaType: undefined })
          await pour(intake, bytes)
        },
      ]),
    ])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  })

  it('goes on when the one who asked first has left, and stores what nobody waits for any more', async () => {
    const bytes = randomBytes(500_000)
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { flights, store } = setUp([
      new ScriptedSource('registry', [
        async ({ intake }) => {
          intake.expect({ size: bytes.length, mediaType: undefined })
          await pour(intake, bytes, 100_000)
          await held
          await pour(intake, bytes)
        },
      ]),
    ])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const leaving = new AbortController()
    const { flight } = flights.join(want)
    const first = await followFlight(flight, { signal: leaving.signal })
    const second = pull(flights, want)
    const waiting = first.readable(400_000, { signal: leaving.signal })
    leaving.abort()
    await assert.rejects(async () => waiting)
    await first.close()
    goOn()
    assert.ok((await second).equals(bytes))
    assert.equal((await end).error, undefined)
    assert.ok(store.stored.has(want.digest))
  })

  it('resumes from what an earlier run has left', async () => {
    const bytes = randomBytes(300_000)
    const want = wantOf(bytes)
    const store = new MemoryStore()
    store.partials.set(want.digest, bytes.subarray(0, 120_000))
    const source = new ScriptedSource('registry', [sends(bytes)])
    assert.ok((await pull(setUp([source], PATIENT, store).flights, want)).equals(bytes))
    assert.deepEqual(source.attempts, [120_000])
  })

  it('asks nobody when only the commit was missing', async () => {
    const bytes = randomBytes(300_000)
    const want = wantOf(bytes)
    const store = new MemoryStore()
    store.partials.set(want.digest, bytes)
    const source = new ScriptedSource('registry', [sends(bytes)])
    assert.ok((await pull(setUp([source], PATIENT, store).flights, want)).equals(bytes))
    assert.deepEqual(source.attempts, [])
  })

  it('does not blame a source for the wrong bytes of an earlier run', async () => {
    const bytes = randomBytes(300_000)
    const want = wantOf(bytes)
    const store = new MemoryStore()
    store.partials.set(want.digest, randomBytes(120_000))
    const source = new ScriptedSource('registry', [sends(bytes)])
    const { flights } = setUp([source], PATIENT, store)
    const end = ended(want.digest)
    await pull(flights, want).catch(() => {})
    assert.equal((await end).error, undefined)
    assert.deepEqual(source.attempts, [120_000, 0])
    assert.ok(store.stored.has(want.digest))
  })

  it('fails in time when no source says anything', async () => {
    const { flights } = setUp([new ScriptedSource('silent', [({ signal }) => aborted(signal)])], {
      ...PATIENT,
      sizeTimeoutMs: 50,
    })
    await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'stalled' })
  })

  it('fails for everyone when the disk does, and leaves nothing open', async () => {
    const bytes = randomBytes(500_000)
    const store = new MemoryStore()
    const { flights } = setUp([new ScriptedSource('registry', [sends(bytes)])], PATIENT, store)
    store.breakDisk()
    await assert.rejects(pull(flights, wantOf(bytes)), { code: 'disk' })
    assert.equal(store.incomingCount, 0)
  })

  it('serves a slow reader from what is stored after everyone else is done', async () => {
    const bytes = randomBytes(500_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
    const want = wantOf(bytes)
    const end = ended(want.digest)
    const slow = await followFlight(flights.join(want).flight, { signal: never })
    await end
    assert.equal(store.incomingCount, 0, 'memory for what is on its way in')
    assert.ok((await readAll(slow)).equals(bytes))
    assert.equal(store.openContents, 0)
  })

  it('ends with stopping when the agent stops, keeps what came, and starts no other', async () => {
    const bytes = randomBytes(500_000)
    const { flights, store } = setUp([new ScriptedSource('registry', [stallsAt(bytes, 200_000)])])
    const want = wantOf(bytes)
    const content = await followFlight(flights.join(want).flight, { signal: never })
    await content.readable(0, { signal: never })
    const reading = readAll(content)
    const stopped = flights.stop()
    await assert.rejects(reading, { code: 'stopping' })
    await stopped
    assert.ok((store.partials.get(want.digest)?.length ?? 0) > 0)
    assert.throws(() => flights.join(wantOf(randomBytes(5))), { code: 'stopping' })
  })

  it('turns the one too many away', async () => {
    const store = new MemoryStore()
    const flights = new Flights({
      store,
      sources: () => [new ScriptedSource('silent', [({ signal }) => aborted(signal)])],
      policy: PATIENT,
      confirm: async () => {},
      describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
      limit: 2,
    })
    flights.join(wantOf(Buffer.from('a')))
    flights.join(wantOf(Buffer.from('b')))
    assert.throws(() => flights.join(wantOf(Buffer.from('c'))), { code: 'busy' })
    await flights.stop()
  })
})

describe('a source whose attempt is over', () => {
  it('keeps no timer running when it goes on', async () => {
    const bytes = randomBytes(200_000)
    let goOn = (): void => {}
    const source = new ScriptedSource('slow', [
      async ({ intake, signal }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, 100_000)
        goOn = () => intake.expect({ size: bytes.length, mediaType: undefined })
        await aborted(signal)
      },
    ])
    const { flights } = setUp([source])
    const { flight } = flights.join(wantOf(bytes))
    await until(() => flight.position === 100_000)
    await flights.stop()
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    goOn()
    assert.equal(timers(), before)
  })
})
