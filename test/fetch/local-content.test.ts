import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../src/fetch/flight/flights.ts'
import { LocalContentLookup } from '../../src/fetch/local-content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Source, Want } from '../../src/ports/source.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { knownNamesOf } from '../../testkit/memory/known-names.ts'
import { MemoryCatalog } from '../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../testkit/memory/memory-store.ts'
import { fails, pour, ScriptedSource, sends } from '../../testkit/registries/scripted-source.ts'

const { signal } = new AbortController()

function setUp(...sources: readonly Source[]) {
  const store = new MemoryStore({ catalog: new MemoryCatalog() })
  const flights = new Flights({
    store,
    sources: () => sources,
    policy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 },
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 10,
  })
  return { store, flights, held: new LocalContentLookup(store, flights, knownNamesOf(store)) }
}

const repository = { registry: 'docker.io', name: 'library/alpine' }

function wantOf(bytes: Uint8Array): Want {
  return {
    digest: digestOf(bytes),
    kind: 'blob',
    repository,
  }
}

/** Sends up to `end`, and the rest when it is told to. */
function sendsTo(bytes: Uint8Array, end: number): { source: ScriptedSource; goOn: () => void } {
  let goOn = (): void => {}
  const told = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const source = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: 'text/plain' })
      await pour(intake, bytes, end)
      await told
      await pour(intake, bytes)
    },
  ])
  return { source, goOn }
}

it('what is stored is whole, can be opened, and has its marks', async () => {
  const { store, held } = setUp()
  const bytes = randomBytes(300_000)
  const digest = store.seed(bytes, { mediaType: 'text/plain' })
  await store.catalog?.rememberKnownName(repository, digest)
  assert.deepEqual(await held.state({ digest, repository }), {
    isComplete: true,
    availableBytes: 300_000,
    size: 300_000,
    mediaType: 'text/plain',
  })
  assert.deepEqual(await held.checkpoints(digest), checkpointsOf(bytes))
  assert.deepEqual(await held.checkpoints(digest, 3), checkpointsOf(bytes).subarray(48))
  assert.equal((await held.checkpoints(digest, 100))?.length, 0)
  const content = await held.open({ digest, repository }, { signal })
  assert.equal(await content?.readable(0, { signal }), 300_000)
  await content?.close()
  await held.fetch(wantOf(bytes))
})

it('what is not here is not begun by looking at it', async () => {
  const bytes = randomBytes(10)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { held, flights } = setUp(source)
  const digest = digestOf(bytes)
  assert.equal(await held.state({ digest, repository }), undefined)
  assert.equal(await held.checkpoints(digest), undefined)
  assert.equal(await held.open({ digest, repository }, { signal }), undefined)
  held.watch(digest, () => assert.fail('there is nothing to tell of'))()
  assert.equal(flights.list().length, 0)
  assert.deepEqual(source.attempts, [])
})

it('what is under way is told of as it comes, can be followed, and is told of once more at its end', async () => {
  const bytes = randomBytes(500_000)
  const { source, goOn } = sendsTo(bytes, 200_000)
  const { held, flights, store } = setUp(source)
  const want = wantOf(bytes)
  const { digest } = want
  const fetched = held.fetch(want)
  const again = held.fetch(want)
  const half = new Promise<void>((resolve) => {
    const stop = held.watch(digest, () => {
      if (flights.get(digest)?.released !== 200_000) return
      stop()
      resolve()
    })
  })
  await half
  assert.deepEqual(await held.state({ digest, repository }), {
    isComplete: false,
    availableBytes: 200_000,
    size: 500_000,
    mediaType: 'text/plain',
  })
  assert.deepEqual(await held.checkpoints(digest), checkpointsOf(bytes).subarray(0, 48))
  assert.deepEqual(await held.checkpoints(digest, 2), checkpointsOf(bytes).subarray(32, 48))
  const content = await held.open({ digest, repository }, { signal })
  assert.equal(await content?.readable(0, { signal }), 200_000)
  const order: string[] = []
  held.watch(digest, () => {
    if (store.stored.has(digest) && flights.get(digest) === undefined) order.push('told')
  })
  goOn()
  await Promise.all([fetched, again])
  await content?.close()
  assert.deepEqual(order, ['told'])
  assert.equal((await held.state({ digest, repository }))?.isComplete, true)
  assert.deepEqual(source.attempts, [0])
})

it('a size that is not known yet is not told', async () => {
  let goOn = (): void => {}
  const told = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const { held } = setUp(
    new ScriptedSource('registry', [
      async () => {
        await told
        throw new Failure('absent', 'not here')
      },
    ]),
  )
  const want = wantOf(randomBytes(10))
  const fetched = held.fetch(want)
  // Joined only after the store was looked into.
  while ((await held.state(want)) === undefined);
  assert.deepEqual(await held.state(want), {
    isComplete: false,
    availableBytes: 0,
    size: undefined,
    mediaType: undefined,
  })
  goOn()
  await assert.rejects(fetched, { code: 'absent' })
})

it('who wants it to come here is told why it did not', async () => {
  const denied = new Failure('denied', 'who are you?')
  const { held, flights } = setUp(new ScriptedSource('registry', [fails(denied)]))
  await assert.rejects(held.fetch(wantOf(randomBytes(10))), (error) => error === denied)
  await flights.stop()
  await assert.rejects(held.fetch(wantOf(randomBytes(10))), { code: 'stopping' })
})

it('who looks while it is being stored finds it one way or the other', async () => {
  for (let round = 0; round < 20; round++) {
    const bytes = randomBytes(100_000)
    const { held } = setUp(new ScriptedSource('registry', [sends(bytes)]))
    const want = wantOf(bytes)
    const fetched = held.fetch(want)
    while ((await held.state(want)) === undefined);
    let over = false
    void fetched.then(() => {
      over = true
    })
    while (!over) {
      assert.notEqual(await held.state(want), undefined)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
})
