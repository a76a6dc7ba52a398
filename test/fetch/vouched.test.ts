import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { TAIL_BYTES } from '../../src/fetch/flight/bytes/tail-gate.ts'
import type { Flight } from '../../src/fetch/flight/flight.ts'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import type { Flights } from '../../src/fetch/flight/flights.ts'
import { followFlight } from '../../src/fetch/flight/follow.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../src/oci/checkpoints.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Contributor, Source } from '../../src/ports/source.ts'
import { Clock } from '../../testkit/clock.ts'
import { checkpointsOf } from '../../testkit/memory/digests.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { runs } from '../../testkit/property-runs.ts'
import {
  type Attempt,
  aborted,
  diesAt,
  pour,
  ScriptedSource,
  sends,
} from '../../testkit/registries/scripted-source.ts'
import { newFlights, wantOf } from './test-flights.ts'

/** No source is given up for a test that is slow. */
const PATIENT: FlightPolicy = {
  ...DEFAULT_FLIGHT_POLICY,
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 1,
  moreReadersTimeoutMs: 1,
}
const never = new AbortController().signal
setMaxListeners(0, never)
function setUp(sources: readonly Source[], store = new MemoryStore(), policy = PATIENT) {
  return { store, flights: newFlights(sources, store, policy) }
}

const peer = (name: string, ...steps: ((attempt: Attempt) => Promise<void>)[]) =>
  new ScriptedSource(name, steps, 'peer')
/** Its name is not its own. */
const giver = (id: string): Contributor => ({ id, name: 'node' })
const upstream = (...steps: ((attempt: Attempt) => Promise<void>)[]) => new ScriptedSource('registry', steps)

/** Its bytes from `from` on are others. */
function spoilt(bytes: Uint8Array, from: number): Buffer {
  const wrong = Buffer.from(bytes)
  for (let at = from; at < wrong.length; at++) wrong[at] = (wrong[at] ?? 0) ^ 0x55
  return wrong
}

async function readAll(content: Content): Promise<Buffer> {
  const bytes = Buffer.alloc(content.size)
  try {
    for (let at = 0; at < bytes.length; ) {
      const readable = await content.readable(at, { signal: never })
      const count = await content.read(bytes.subarray(at, Math.min(readable, at + 30_000)), at)
      assert.ok(count > 0, 'nothing to read where something was readable')
      at += count
    }
  } finally {
    await content.close()
  }
  return bytes
}

const pull = async (flight: Flight): Promise<Buffer> => readAll(await followFlight(flight, { signal: never }))

function until(flights: Flights, flight: Flight, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isSo()) return
      stop()
      resolve()
    }
    const stop = flights.watch(flight.want.digest, look)
    look()
  })
}

/** Something that a step of a script waits for. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

function blamed(t: TestContext, digest: Digest): Events['verify.failed'][] {
  const facts: Events['verify.failed'][] = []
  t.after(subscribe('verify.failed', (fact) => fact.digest === digest && facts.push(fact)))
  return facts
}

describe('what peers bring', () => {
  it('is not passed on while it is given up', async () => {
    const bytes = randomBytes(30 * CHECKPOINT_INTERVAL_BYTES)
    const { flights } = setUp([
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, checkpointsOf(bytes))
        await pour(intake, bytes, 3 * CHECKPOINT_INTERVAL_BYTES)
        const { flight } = flights.join(wantOf(bytes))
        await until(flights, flight, () => flight.released === 3 * CHECKPOINT_INTERVAL_BYTES)
        await pour(intake, bytes, 9 * CHECKPOINT_INTERVAL_BYTES)
        throw new Failure('absent', 'it falls to upstream')
      }),
      upstream(sends(bytes)),
    ])
    const { flight } = flights.join(wantOf(bytes))
    assert.deepEqual(await pull(flight), bytes)
  })

  it('is not passed on before it is vouched for, or all of it is verified', async () => {
    const bytes = randomBytes(500_000)
    const hold = gate()
    const { flights } = setUp([
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, 400_000)
        await hold.opened
        await pour(intake, bytes)
      }),
    ])
    const { flight } = flights.join(wantOf(bytes))
    const content = await followFlight(flight, { signal: never })
    const first = content.readable(0, { signal: never })
    await until(flights, flight, () => flight.position >= 400_000)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(flight.released, 0)
    assert.equal(flight.checkpoints().length, 0)
    hold.open()
    assert.equal(await first, bytes.length)
    assert.ok((await readAll(content)).equals(bytes))
    assert.deepEqual(flight.checkpoints(), checkpointsOf(bytes))
    assert.deepEqual(flight.checkpoints(6), checkpointsOf(bytes).subarray(6 * 16))
  })

  it('is passed on as far as it is vouched for, whoever comes first: the bytes or the marks', async () => {
    const bytes = randomBytes(500_000)
    const marks = checkpointsOf(bytes)
    const steps = [gate(), gate(), gate()]
    const { flights } = setUp([
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, 200_000)
        await steps[0]?.opened
        intake.vouch(0, marks.subarray(0, 32))
        await steps[1]?.opened
        intake.vouch(2, marks.subarray(32))
        await steps[2]?.opened
        await pour(intake, bytes)
      }),
    ])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(flights, flight, () => flight.position >= 200_000)
    assert.equal(flight.released, 0)
    steps[0]?.open()
    await until(flights, flight, () => flight.released > 0)
    assert.equal(flight.released, 2 * CHECKPOINT_INTERVAL_BYTES)
    assert.deepEqual(flight.checkpoints(), marks.subarray(0, 32))
    steps[1]?.open()
    await until(flights, flight, () => flight.released > 2 * CHECKPOINT_INTERVAL_BYTES)
    assert.equal(flight.released, 3 * CHECKPOINT_INTERVAL_BYTES)
    steps[2]?.open()
    assert.ok((await body).equals(bytes))
  })

  it('is asked for again from upstream where the last of it was not vouched for, so that the rest can be passed on', async () => {
    const bytes = randomBytes(800_000)
    const hold = gate()
    const registry = upstream(async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 600_000)
      await hold.opened
      await pour(intake, bytes)
    })
    const { flights } = setUp([
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, checkpointsOf(bytes).subarray(0, 64))
        await pour(intake, bytes, 300_000)
        throw new Failure('absent', 'It falls to this node to ask upstream.')
      }),
      registry,
    ])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(flights, flight, () => flight.released === 600_000)
    assert.deepEqual(registry.attempts, [4 * CHECKPOINT_INTERVAL_BYTES])
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('is kept where nobody has vouched for any of it', async () => {
    const bytes = randomBytes(800_000)
    const registry = upstream(sends(bytes))
    const { flights } = setUp([peer('one', diesAt(bytes, 300_000)), registry])
    assert.ok((await pull(flights.join(wantOf(bytes)).flight)).equals(bytes))
    assert.deepEqual(registry.attempts, [300_000])
  })

  it('is held back behind what upstream has brought, and holds back what upstream brings after it', async () => {
    const bytes = randomBytes(800_000)
    const hold = gate()
    const { flights } = setUp([
      new ScriptedSource('first', [diesAt(bytes, 200_000)]),
      peer('one', diesAt(bytes, 400_000)),
      upstream(async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, bytes.length - 1)
        await hold.opened
        await pour(intake, bytes)
      }),
    ])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(
      flights,
      flight,
      () => flight.position === bytes.length - 1 && flight.checkpoints().length > 0,
    )
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(flight.released, 200_000)
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('holds nothing back of what upstream brings when no peer has brought anything', async () => {
    const bytes = randomBytes(500_000)
    const hold = gate()
    const { flights } = setUp([
      peer('one', async () => {
        throw new Failure('absent', 'not here')
      }),
      upstream(async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, 400_000)
        await hold.opened
        await pour(intake, bytes)
      }),
    ])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(flights, flight, () => flight.released === 400_000)
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('is cut at the last good mark when it is wrong; readers do not notice, the liar is blamed', async (t) => {
    const bytes = randomBytes(1_000_000)
    const good = 3 * CHECKPOINT_INTERVAL_BYTES
    const read = gate()
    const liar = peer('liar', async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, good)
      await read.opened
      await pour(intake, spoilt(bytes, good + 10_000), 500_000)
      await aborted(signal)
    })
    const honest = upstream(sends(bytes))
    const { flights, store } = setUp([liar, honest])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    const { flight } = flights.join(want)
    const content = await followFlight(flight, { signal: never })
    while ((await content.readable(0, { signal: never })) < good);
    read.open()
    assert.ok((await readAll(content)).equals(bytes))
    assert.deepEqual(honest.attempts, [good])
    assert.equal(liar.attempts.length, 1)
    assert.deepEqual(
      facts.map(({ source, sourceKind }) => [source, sourceKind]),
      [['liar', 'peer']],
    )
    await flight.ended
    assert.deepEqual(store.stored.get(want.digest)?.checkpoints, checkpointsOf(bytes))
  })

  it('tells which of two that are named alike was wrong, and asks the same source again for another', async (t) => {
    const bytes = randomBytes(1_000_000)
    const signals: AbortSignal[] = []
    const network = peer(
      'network',
      async ({ intake, signal }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, checkpointsOf(bytes))
        signals.push(signal)
        intake.setContributor(giver('good'))
        await pour(intake, bytes, 300_000)
        intake.setContributor(giver('bad'))
        await pour(intake, spoilt(bytes, 400_000), 600_000)
        await aborted(signal)
      },
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.setContributor(giver('good'))
        await pour(intake, bytes)
      },
    )
    const accused: Contributor[] = []
    network.blame = (culprits) => void accused.push(...culprits)
    const spare = upstream(sends(bytes))
    const { flights } = setUp([network, spare])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(network.attempts, [0, 6 * CHECKPOINT_INTERVAL_BYTES])
    assert.deepEqual(spare.attempts, [])
    assert.deepEqual(
      facts.map(({ source }) => source),
      ['node'],
    )
    assert.deepEqual(accused, [giver('bad')])
    const reason: unknown = signals[0]?.reason
    assert.ok(reason instanceof Failure && reason.code === 'corrupt' && reason.details.source === 'node')
  })

  it('takes wrong bytes back also when they are found out only while upstream goes on from them', async (t) => {
    const bytes = randomBytes(1_500_000)
    const store = new MemoryStore({ windowBytes: 2_000_000 })
    store.pauseWrites()
    const liar = peer('liar', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, spoilt(bytes, 300_000), 700_000)
      throw new Failure('unavailable', 'the connection broke')
    })
    const honest = upstream(async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 900_000)
      store.resumeWrites()
      await aborted(signal)
    }, sends(bytes))
    const { flights } = setUp([liar, honest], store)
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(honest.attempts, [700_000, 4 * CHECKPOINT_INTERVAL_BYTES])
    assert.deepEqual(
      facts.map(({ source }) => source),
      ['liar'],
    )
  })

  it('takes wrong bytes back also when they are found out while nobody is asked', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(1_000_000)
    const store = new MemoryStore({ windowBytes: 2_000_000 })
    store.pauseWrites()
    const given = gate()
    t.after(subscribe('flight.attempted', given.open))
    const network = peer(
      'network',
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, checkpointsOf(bytes))
        intake.setContributor(giver('bad'))
        await pour(intake, spoilt(bytes, 300_000), 700_000)
        throw new Failure('unavailable', 'the connection broke')
      },
      sends(bytes),
    )
    const { flights } = setUp([network], store, { ...PATIENT, retryPauseMs: 50 })
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    const body = pull(flights.join(want).flight)
    await given.opened
    store.resumeWrites()
    assert.ok((await clock.until(body)).equals(bytes))
    assert.deepEqual(network.attempts, [0, 4 * CHECKPOINT_INTERVAL_BYTES])
    assert.deepEqual(
      facts.map(({ source }) => source),
      ['node'],
    )
  })

  it('is not what a peer says that is done with', async () => {
    const bytes = randomBytes(500_000)
    const hold = gate()
    let late: Attempt['intake'] | undefined
    const { flights } = setUp([
      peer('one', async ({ intake }) => {
        late = intake
        throw new Failure('absent', 'not here')
      }),
      upstream(async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        late?.setContributor(giver('ghost'))
        late?.vouch(0, checkpointsOf(randomBytes(500_000)))
        await pour(intake, bytes, 400_000)
        await hold.opened
        await pour(intake, bytes)
      }),
    ])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(flights, flight, () => flight.released === 400_000)
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('is right although what was vouched for was not: upstream is believed more', async (t) => {
    const bytes = randomBytes(1_000_000)
    const lie = Buffer.from(checkpointsOf(bytes))
    lie.fill(7, 4 * 16)
    const honest = peer('honest', async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, lie)
      await pour(intake, bytes, 600_000)
      await aborted(signal)
    })
    const registry = upstream(sends(bytes))
    const { flights } = setUp([honest, registry])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(registry.attempts, [4 * CHECKPOINT_INTERVAL_BYTES])
    assert.ok(facts.every(({ sourceKind }) => sourceKind === 'peer'))
  })

  it('is right although only the last of it was vouched for wrongly', async (t) => {
    const bytes = randomBytes(10 * CHECKPOINT_INTERVAL_BYTES)
    const lie = Buffer.from(checkpointsOf(bytes))
    lie.fill(7, 9 * 16)
    const { flights } = setUp([
      peer('honest', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, lie)
        await pour(intake, bytes)
      }),
    ])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(facts, [])
  })

  it('is released only at the end after two were wrong', async () => {
    const bytes = randomBytes(1_500_000)
    const marks = checkpointsOf(bytes)
    const hold = gate()
    const lies =
      (from: number) =>
      async ({ intake, signal }: Attempt) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, marks)
        await pour(intake, spoilt(bytes, from), from + 200_000)
        await aborted(signal)
      }
    const third = peer('third', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, marks)
      await pour(intake, bytes, 1_400_000)
      await hold.opened
      await pour(intake, bytes)
    })
    const { flights } = setUp([peer('first', lies(300_000)), peer('second', lies(600_000)), third])
    const { flight } = flights.join(wantOf(bytes))
    const body = pull(flight)
    await until(flights, flight, () => flight.position === 1_400_000)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(flight.released, 0)
    assert.deepEqual(third.attempts, [9 * CHECKPOINT_INTERVAL_BYTES])
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('never makes a complete wrong body, not even when who vouches lies along', async (t) => {
    const bytes = randomBytes(1_000_000)
    const wrong = spoilt(bytes, 250_000)
    const liar = peer('liar', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(wrong))
      await pour(intake, wrong)
    })
    const honest = upstream(sends(bytes))
    const { flights, store } = setUp([liar, honest])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    const { flight } = flights.join(want)
    const content = await followFlight(flight, { signal: never })
    assert.ok((await content.readable(0, { signal: never })) <= bytes.length - TAIL_BYTES)
    await assert.rejects(readAll(content), { code: 'corrupt' })
    assert.equal(await flight.ended, undefined)
    assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
    assert.ok(facts.length > 0 && facts.every(({ source }) => source === 'liar'))
  })

  it('is not relied on for what was vouched for before all of it turned out wrong', async () => {
    const bytes = randomBytes(10 * CHECKPOINT_INTERVAL_BYTES)
    const wrong = spoilt(bytes, 100_000)
    const hold = gate()
    const liar = peer('liar', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(wrong))
      await pour(intake, wrong)
    })
    const second = peer('second', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, 600_000)
      await hold.opened
      await pour(intake, bytes)
    })
    const { flights } = setUp([liar, second])
    const { flight } = flights.join(wantOf(bytes))
    await until(flights, flight, () => second.attempts.length > 0 && flight.position === 600_000)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(second.attempts, [0])
    assert.equal(flight.released, 0)
    const body = pull(flight)
    hold.open()
    assert.ok((await body).equals(bytes))
  })

  it('is cut at the last mark when only what comes after that is wrong', async (t) => {
    const bytes = randomBytes(5 * CHECKPOINT_INTERVAL_BYTES + 20_000)
    const honest = upstream(sends(bytes))
    const liar = peer('liar', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, spoilt(bytes, bytes.length - 5))
    })
    const { flights } = setUp([liar, honest])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(honest.attempts, [5 * CHECKPOINT_INTERVAL_BYTES])
    assert.deepEqual(
      facts.map(({ source }) => source),
      ['liar'],
    )
  })

  it('that nobody vouches for and is wrong is blamed on peers, not on upstream', async (t) => {
    const bytes = randomBytes(500_000)
    const honest = upstream(sends(bytes))
    const { flights } = setUp([peer('liar', diesAt(spoilt(bytes, 1000), 200_000)), honest])
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(honest.attempts, [200_000, 0])
    assert.deepEqual(
      facts.map(({ source }) => source),
      ['liar'],
    )
  })

  it('is less believed about the size than upstream', async () => {
    const bytes = randomBytes(500_000)
    const registry = upstream(diesAt(bytes, 100_000), sends(bytes))
    const liar = peer('liar', sends(randomBytes(600_000)))
    const { flights } = setUp([registry, liar])
    assert.ok((await pull(flights.join(wantOf(bytes)).flight)).equals(bytes))
    assert.deepEqual(registry.attempts, [0, 100_000])
    assert.equal(liar.attempts.length, 1)
  })

  it('in an earlier run is as suspect, until it is vouched for', async () => {
    const bytes = randomBytes(600_000)
    const want = wantOf(bytes)
    const steps = [gate(), gate()]
    const store = new MemoryStore()
    store.partials.set(want.digest, bytes.subarray(0, 300_000))
    const { flights } = setUp(
      [
        peer('one', async ({ intake }) => {
          intake.expect({ size: bytes.length, mediaType: undefined })
          await steps[0]?.opened
          intake.vouch(0, checkpointsOf(bytes))
          await steps[1]?.opened
          await pour(intake, bytes)
        }),
      ],
      store,
    )
    const { flight } = flights.join(want)
    const body = pull(flight)
    await until(flights, flight, () => flight.size !== undefined)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(flight.released, 0)
    steps[0]?.open()
    await until(flights, flight, () => flight.released === 4 * CHECKPOINT_INTERVAL_BYTES)
    steps[1]?.open()
    assert.ok((await body).equals(bytes))
  })

  it('in an earlier run and wrong is cut, and blamed on nobody', async (t) => {
    const bytes = randomBytes(600_000)
    const want = wantOf(bytes)
    const facts = blamed(t, want.digest)
    const store = new MemoryStore()
    store.partials.set(want.digest, spoilt(bytes, 200_000).subarray(0, 400_000))
    const source = peer('one', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes)
    })
    const { flights } = setUp([source], store)
    assert.ok((await pull(flights.join(want).flight)).equals(bytes))
    assert.deepEqual(source.attempts, [400_000, 3 * CHECKPOINT_INTERVAL_BYTES])
    assert.deepEqual(facts, [])
  })

  it('can be passed on while it comes although it cannot be kept', async () => {
    const bytes = randomBytes(3_000_000)
    const { flights } = setUp(
      [
        peer('one', async ({ intake }) => {
          intake.expect({ size: bytes.length, mediaType: undefined })
          intake.vouch(0, checkpointsOf(bytes))
          await pour(intake, bytes)
        }),
      ],
      new MemoryStore({ limitBytes: 1000 }),
    )
    assert.ok((await pull(flights.join(wantOf(bytes)).flight)).equals(bytes))
  })

  it('and can neither be kept nor is vouched for is brought by upstream instead', async (t) => {
    const clock = new Clock(t)
    const bytes = randomBytes(3_000_000)
    const one = peer('one', sends(bytes))
    const registry = upstream(sends(bytes))
    const policy = { ...PATIENT, progressTimeoutMs: 40 }
    const { flights } = setUp([one, registry], new MemoryStore({ limitBytes: 1000 }), policy)
    assert.ok((await clock.until(pull(flights.join(wantOf(bytes)).flight))).equals(bytes))
    assert.deepEqual(registry.attempts, [0])
    assert.equal(one.attempts.length, 1)
  })

  it('is begun anew when it is wrong and cannot be cut because it cannot be kept', async () => {
    const bytes = randomBytes(3_000_000)
    const hold = gate()
    const liar = peer('liar', async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, 100_000)
      await hold.opened
      await pour(intake, spoilt(bytes, 100_000), 200_000)
      await aborted(signal)
    })
    const registry = upstream(sends(bytes))
    const { flights } = setUp([liar, registry], new MemoryStore({ limitBytes: 1000 }))
    const { flight } = flights.join(wantOf(bytes))
    const early = await followFlight(flight, { signal: never })
    const late = await followFlight(flight, { signal: never })
    assert.equal(await early.readable(0, { signal: never }), CHECKPOINT_INTERVAL_BYTES)
    hold.open()
    await assert.rejects(readAll(early), { code: 'corrupt' })
    assert.ok((await readAll(late)).equals(bytes))
    assert.equal(await flight.ended, undefined)
    assert.deepEqual(registry.attempts, [0])
  })

  it('reaches nobody complete and wrong, whoever lies where, breaks off or vouches for what', async () => {
    const act = fc.record({
      kind: fc.constantFrom('peer' as const, 'peer' as const, 'upstream' as const),
      wrongFrom: fc.option(fc.nat(600_000)),
      endsAt: fc.nat(900_000),
      vouches: fc.constantFrom('honest', 'honest', 'nothing', 'lie', 'along'),
    })
    // What is wrong is found out while the last that nobody vouches for is given up.
    const foundLate = [
      { kind: 'peer' as const, wrongFrom: null, endsAt: 327_680, vouches: 'honest' as const },
      { kind: 'peer' as const, wrongFrom: 0, endsAt: 393_216, vouches: 'honest' as const },
    ]
    // More peers bring all of it wrong than there are beginnings.
    const wrong = { kind: 'peer' as const, wrongFrom: 0, vouches: 'honest' as const }
    const manyLiars = [
      { ...wrong, wrongFrom: null, endsAt: 0, vouches: 'lie' as const },
      ...Array.from({ length: 3 }, () => ({ ...wrong, endsAt: 600_000 })),
      { ...wrong, endsAt: 1 },
    ]
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 6 }), fc.nat(3), async (acts, readers) => {
        const bytes = randomBytes(600_000)
        const sources = acts.map(({ kind, wrongFrom, endsAt, vouches }, n) => {
          const mine = wrongFrom === null ? bytes : spoilt(bytes, wrongFrom)
          const step = async ({ intake }: Attempt): Promise<void> => {
            intake.expect({ size: bytes.length, mediaType: undefined })
            if (vouches === 'honest') intake.vouch(0, checkpointsOf(bytes))
            if (vouches === 'lie') intake.vouch(3, checkpointsOf(randomBytes(200_000)))
            if (vouches === 'along') intake.vouch(0, checkpointsOf(mine))
            await pour(intake, mine, Math.min(endsAt, bytes.length))
            if (endsAt < bytes.length) throw new Failure('unavailable', 'it broke')
          }
          return new ScriptedSource(`${kind} ${n}`, [step], kind)
        })
        const { flights, store } = setUp([...sources, new ScriptedSource('last', [sends(bytes)])])
        const want = wantOf(bytes)
        const { flight } = flights.join(want)
        const bodies = Array.from({ length: readers }, () => pull(flight))
        for (const outcome of await Promise.allSettled(bodies)) {
          assert.ok(outcome.status === 'rejected' || outcome.value.equals(bytes), 'a wrong body')
        }
        const failure = await flight.ended
        // Peers alone cannot keep it from coming.
        if (acts.every(({ kind, wrongFrom }) => kind === 'peer' || wrongFrom === null)) {
          assert.equal(failure, undefined)
        }
        if (failure === undefined) {
          assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
        }
        assert.equal(store.incomingCount, 0)
        assert.equal(store.openContents, 0)
      }),
      {
        ...runs(30),
        examples: [
          [foundLate, 0],
          [manyLiars, 0],
        ],
      },
    )
  })
})
