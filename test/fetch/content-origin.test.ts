import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { BlobAnswer } from '../../src/ports/resolver.ts'
import type { Source } from '../../src/ports/source.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import type { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { ScriptedRegistry } from '../../testkit/registries/scripted-registry.ts'
import { type Attempt, pour, ScriptedSource, sends } from '../../testkit/registries/scripted-source.ts'
import { peer } from './support/peers.ts'
import { alpine, setUpResolver, signal } from './support/resolver.ts'

class SourcesRegistry extends ScriptedRegistry {
  readonly #sources: readonly Source[]

  constructor(sources: readonly Source[]) {
    super()
    this.#sources = sources
  }

  override sources(): readonly Source[] {
    return this.#sources
  }
}

const bytes = randomBytes(1_000_000)
const want = [alpine, digestOf(bytes), { signal }] as const

function setUpFrom(...sources: readonly Source[]) {
  const registry = new SourcesRegistry(sources)
  return setUpResolver({ registry, flightPolicy: { attemptsPerSource: 1 } })
}

const peers = (step: (attempt: Attempt) => Promise<void>) => peer('peers', step)

/** Takes the bytes up to `end` from a peer, which vouches for all of them. */
async function from(name: string, { intake }: Attempt, bytes: Uint8Array, end: number): Promise<void> {
  intake.setContributor({ id: name, name })
  intake.expect({ size: bytes.length, mediaType: undefined })
  intake.vouch(0, checkpointsOf(bytes))
  await pour(intake, bytes, end)
}

/** Gives the origin of a blob once it is stored. */
async function origin({ store }: { store: MemoryStore }, digest: Digest): Promise<string> {
  for (;;) {
    const facts = await store.facts(digest)
    if (facts !== undefined) return facts.origin
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function drain({ content }: BlobAnswer): Promise<void> {
  try {
    for (let known = 0; known < content.size; ) known = await content.readable(known, { signal })
  } finally {
    await content.close()
  }
}

test('an answer that peers bring says peer, and the stored blob names them as its origin', async () => {
  const answering = setUpFrom(
    peers(async (attempt) => {
      await from('node-1', attempt, bytes, 400_000)
      await from('node-2', attempt, bytes, bytes.length)
    }),
    new ScriptedSource('registry.test', [sends(bytes)]),
  )
  const ended: Events['flight.ended'][] = []
  const stop = subscribe('flight.ended', (fact) => ended.push(fact))
  const answer = await answering.resolver.blob(...want)
  await drain(answer)
  while (ended.length === 0) await new Promise((resolve) => setImmediate(resolve))
  stop()
  assert.deepEqual(answer.cacheResult, { kind: 'miss', from: 'peer', collapsed: false })
  assert.equal(await origin(answering, want[1]), 'peer node-1, peer node-2')
  assert.equal(ended[0]?.source, 'node-2')
})

test('an answer says upstream when peers leave the content to upstream', async () => {
  const answering = setUpFrom(
    peers(async () => {
      throw new Failure('absent', 'It falls to this node.')
    }),
    new ScriptedSource('registry.test', [sends(bytes)]),
  )
  const answer = await answering.resolver.blob(...want)
  await drain(answer)
  assert.deepEqual(answer.cacheResult, { kind: 'miss', from: 'upstream', collapsed: false })
  assert.equal(await origin(answering, want[1]), 'upstream registry.test')
})

test('an answer names the kind of source that has brought most bytes when it begins', async () => {
  const rest = new Deferred<void>()
  const answering = setUpFrom(
    peers(async (attempt) => {
      await from('node-1', attempt, bytes, 300_000)
      throw new Failure('absent', 'It falls to this node.')
    }),
    new ScriptedSource('registry.test', [
      async (attempt) => {
        attempt.intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(attempt.intake, bytes, 400_000)
        await rest.promise
        await pour(attempt.intake, bytes, 900_000)
        throw new Failure('unavailable', 'the connection broke')
      },
    ]),
    peers((attempt) => from('node-2', attempt, bytes, bytes.length)),
  )
  const { flights } = answering.resolver
  const position = (): number => flights.get(want[1])?.position ?? 0
  const first = await answering.resolver.blob(...want)
  while (position() < 400_000) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(flights.get(want[1])?.source?.name, 'registry.test')
  const early = await answering.resolver.blob(...want)
  rest.resolve()
  while (position() < 900_000) await new Promise((resolve) => setImmediate(resolve))
  const late = await answering.resolver.blob(...want)
  await Promise.all([first, early, late].map(drain))
  assert.deepEqual(
    [first, early, late].map(({ cacheResult }) =>
      cacheResult.kind === 'miss' ? cacheResult.from : cacheResult.kind,
    ),
    ['peer', 'peer', 'upstream'],
  )
  assert.equal(await origin(answering, want[1]), 'peer node-1, upstream registry.test, peer node-2')
})

test('an empty content comes from the source that says that it is empty', async () => {
  const nothing = new Uint8Array()
  const answering = setUpFrom(peers((attempt) => from('node-1', attempt, nothing, 0)))
  const answer = await answering.resolver.blob(want[0], digestOf(nothing), { signal })
  await drain(answer)
  assert.equal(answer.cacheResult.kind === 'miss' && answer.cacheResult.from, 'peer')
  assert.equal(await origin(answering, digestOf(nothing)), 'peer node-1')
})
