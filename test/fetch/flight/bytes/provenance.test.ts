import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { describe, it } from 'node:test'
import { type ByteSource, originText, Provenance } from '../../../../src/fetch/flight/bytes/provenance.ts'
import { DEFAULT_FLIGHT_POLICY } from '../../../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS } from '../../../../src/fetch/freshness.ts'
import { CachingResolver } from '../../../../src/fetch/resolver.ts'
import { type Events, subscribe } from '../../../../src/observe/events.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import type { BlobAnswer } from '../../../../src/ports/resolver.ts'
import type { Source } from '../../../../src/ports/source.ts'
import { checkpointsOf, digestOf } from '../../../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { ScriptedRegistry } from '../../../../testkit/registries/scripted-registry.ts'
import { type Attempt, pour, ScriptedSource, sends } from '../../../../testkit/registries/scripted-source.ts'

const signal = new AbortController().signal
setMaxListeners(0, signal)
const node = (number: number): ByteSource => ({ name: `node-${number}`, kind: 'peer' })
const registry: ByteSource = { name: 'registry.test', kind: 'upstream' }

describe('who brought what', () => {
  it('is whoever was asked from there on, unless nothing came', () => {
    const provenance = new Provenance()
    provenance.startFrom(0, { name: 'peers', kind: 'peer' })
    provenance.startFrom(0, node(1))
    provenance.startFrom(100, node(2))
    provenance.startFrom(100, registry)
    provenance.startFrom(160, node(1))
    assert.deepEqual(provenance.contributors(200), [node(1), registry])
    assert.deepEqual(provenance.contributors(160), [node(1), registry])
    assert.deepEqual(provenance.contributors(100), [node(1)])
    assert.deepEqual(provenance.last, node(1))
  })

  it('is the kind of whoever is asked, while there is nothing; then the one with most bytes', () => {
    const provenance = new Provenance()
    assert.equal(provenance.mainSourceKind(0), undefined)
    provenance.startFrom(0, node(1))
    assert.equal(provenance.mainSourceKind(0), 'peer')
    provenance.startFrom(0, registry)
    assert.equal(provenance.mainSourceKind(0), 'upstream')
    provenance.startFrom(100, node(2))
    assert.equal(provenance.mainSourceKind(150), 'upstream')
    assert.equal(provenance.mainSourceKind(201), 'peer')
  })

  it('forgets what was taken back, and does not count what was here before', () => {
    const provenance = new Provenance()
    provenance.startFrom(0, undefined)
    provenance.startFrom(1000, registry)
    provenance.startFrom(1100, node(1))
    assert.equal(provenance.mainSourceKind(1300), 'peer')
    provenance.truncate(1100)
    assert.deepEqual(provenance.contributors(1100), [registry])
    assert.equal(provenance.mainSourceKind(1100), 'upstream')
  })

  it('is known of many stretches and names without one for each', () => {
    const provenance = new Provenance()
    for (let at = 0; at < 5000; at++) provenance.startFrom(at * 100, at % 3 === 0 ? node(at % 500) : registry)
    const bringers = provenance.contributors(500_000)
    assert.deepEqual(bringers.slice(0, 3), [node(0), registry, node(3)])
    assert.ok(bringers.length <= 400, `${bringers.length} are remembered`)
    assert.equal(provenance.mainSourceKind(500_000), 'upstream')
    provenance.truncate(0)
    assert.deepEqual(provenance.contributors(500_000), [])
  })

  it('is told in a few words, however many they were', () => {
    assert.equal(originText([registry, node(1)]), 'upstream registry.test, peer node-1')
    assert.equal(
      originText([1, 2, 3, 4, 5, 6].map(node)),
      'peer node-1, peer node-2, peer node-3, peer node-4 and 2 more',
    )
  })
})

class Scripted extends ScriptedRegistry {
  readonly #sources: readonly Source[]

  constructor(...sources: readonly Source[]) {
    super()
    this.#sources = sources
  }

  override sources(): readonly Source[] {
    return this.#sources
  }
}

function setUp(...sources: readonly Source[]) {
  const store = new MemoryStore()
  const resolution = new CachingResolver({
    store,
    catalog: new MemoryCatalog(),
    registry: new Scripted(...sources),
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1, attemptsPerSource: 1 },
    freshnessPolicy: DEFAULT_FRESHNESS,
    manifestMemoryBytes: 1024 * 1024,
    flightLimit: 100,
  })
  return { store, resolution }
}

const peers = (step: (attempt: Attempt) => Promise<void>) => new ScriptedSource('peers', [step], 'peer')

/** Takes up to `end` from a peer, all vouched for, and says so. */
async function from(name: string, { intake }: Attempt, bytes: Uint8Array, end: number): Promise<void> {
  intake.setContributor({ id: name, name })
  intake.expect({ size: bytes.length, mediaType: undefined })
  intake.vouch(0, checkpointsOf(bytes))
  await pour(intake, bytes, end)
}

/** Until it is stored, too. */
async function origin({ store }: { store: MemoryStore }, digest: Digest): Promise<string> {
  for (;;) {
    const facts = await store.facts(digest)
    if (facts !== undefined) return facts.origin
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function drained({ content }: BlobAnswer): Promise<void> {
  try {
    for (let known = 0; known < content.size; ) known = await content.readable(known, { signal })
  } finally {
    await content.close()
  }
}

describe('an answer', () => {
  const bytes = randomBytes(1_000_000)
  const want = [{ registry: 'docker.io', name: 'app' }, digestOf(bytes), { signal }] as const

  it('comes from peers when they have it, and names them as the origin', async () => {
    const here = setUp(
      peers(async (attempt) => {
        await from('node-1', attempt, bytes, 400_000)
        await from('node-2', attempt, bytes, bytes.length)
      }),
      new ScriptedSource('registry.test', [sends(bytes)]),
    )
    const ended: Events['flight.ended'][] = []
    const stop = subscribe('flight.ended', (fact) => ended.push(fact))
    const answer = await here.resolution.blob(...want)
    await drained(answer)
    while (ended.length === 0) await new Promise((resolve) => setImmediate(resolve))
    stop()
    assert.deepEqual(answer.cacheResult, { kind: 'miss', from: 'peer', collapsed: false })
    assert.equal(await origin(here, want[1]), 'peer node-1, peer node-2')
    assert.equal(ended[0]?.source, 'node-2')
  })

  it('comes from upstream when peers say that it is to be asked', async () => {
    const here = setUp(
      peers(async () => {
        throw new Failure('absent', 'It falls to this node.')
      }),
      new ScriptedSource('registry.test', [sends(bytes)]),
    )
    const answer = await here.resolution.blob(...want)
    await drained(answer)
    assert.deepEqual(answer.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
    assert.equal(await origin(here, want[1]), 'upstream registry.test')
  })

  it('comes from whoever has brought most of it when it begins, whoever goes on', async () => {
    let goOn = (): void => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const here = setUp(
      peers(async (attempt) => {
        await from('node-1', attempt, bytes, 300_000)
        throw new Failure('absent', 'It falls to this node.')
      }),
      new ScriptedSource('registry.test', [
        async (attempt) => {
          attempt.intake.expect({ size: bytes.length, mediaType: undefined })
          await pour(attempt.intake, bytes, 400_000)
          await gate
          await pour(attempt.intake, bytes, 900_000)
          throw new Failure('unavailable', 'the connection broke')
        },
      ]),
      peers((attempt) => from('node-2', attempt, bytes, bytes.length)),
    )
    const { flights } = here.resolution
    const position = (): number => flights.get(want[1])?.position ?? 0
    const first = await here.resolution.blob(...want)
    while (position() < 400_000) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(flights.get(want[1])?.source?.name, 'registry.test')
    const early = await here.resolution.blob(...want)
    goOn()
    while (position() < 900_000) await new Promise((resolve) => setImmediate(resolve))
    const late = await here.resolution.blob(...want)
    await Promise.all([first, early, late].map(drained))
    assert.deepEqual(
      [first, early, late].map(({ cacheResult }) =>
        cacheResult.kind === 'miss' ? cacheResult.from : cacheResult.kind,
      ),
      ['peer', 'peer', 'upstream'],
    )
    assert.equal(await origin(here, want[1]), 'peer node-1, upstream registry.test, peer node-2')
  })

  it('of nothing at all comes from whoever has said so', async () => {
    const nothing = new Uint8Array()
    const here = setUp(peers((attempt) => from('node-1', attempt, nothing, 0)))
    const answer = await here.resolution.blob(want[0], digestOf(nothing), { signal })
    await drained(answer)
    assert.equal(answer.cacheResult.kind === 'miss' && answer.cacheResult.from, 'peer')
    assert.equal(await origin(here, digestOf(nothing)), 'peer node-1')
  })
})
