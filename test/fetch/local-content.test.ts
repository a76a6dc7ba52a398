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
  return { store, flights, local: new LocalContentLookup(store, flights, knownNamesOf(store)) }
}

const repository = { registry: 'docker.io', name: 'library/alpine' }

function wantOf(bytes: Uint8Array): Want {
  return {
    digest: digestOf(bytes),
    kind: 'blob',
    repository,
  }
}

/** A source that sends the bytes up to `end`, and the rest after `sendRest`. */
function sendsTo(bytes: Uint8Array, end: number): { source: ScriptedSource; sendRest: () => void } {
  let sendRest = (): void => {}
  const rest = new Promise<void>((resolve) => {
    sendRest = resolve
  })
  const source = new ScriptedSource('registry', [
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: 'text/plain' })
      await pour(intake, bytes, end)
      await rest
      await pour(intake, bytes)
    },
  ])
  return { source, sendRest }
}

it('a stored blob is complete, can be opened, and has its checkpoints', async () => {
  const { store, local } = setUp()
  const bytes = randomBytes(300_000)
  const digest = store.seed(bytes, { mediaType: 'text/plain' })
  await store.catalog?.rememberKnownName(repository, digest)
  assert.deepEqual(await local.state({ digest, repository }), {
    isComplete: true,
    availableBytes: 300_000,
    size: 300_000,
    mediaType: 'text/plain',
  })
  assert.deepEqual(await local.checkpoints(digest), checkpointsOf(bytes))
  assert.deepEqual(await local.checkpoints(digest, 3), checkpointsOf(bytes).subarray(48))
  assert.equal((await local.checkpoints(digest, 100))?.length, 0)
  const content = await local.open({ digest, repository }, { signal })
  assert.equal(await content?.readable(0, { signal }), 300_000)
  await content?.close()
  await local.fetch(wantOf(bytes))
})

it('asking for content that is not local begins no flight', async () => {
  const bytes = randomBytes(10)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { local, flights } = setUp(source)
  const digest = digestOf(bytes)
  assert.equal(await local.state({ digest, repository }), undefined)
  assert.equal(await local.checkpoints(digest), undefined)
  assert.equal(await local.open({ digest, repository }, { signal }), undefined)
  local.watch(digest, () => assert.fail('there is nothing to watch'))()
  assert.equal(flights.list().length, 0)
  assert.deepEqual(source.attempts, [])
})

it('content in a flight can be watched and followed, and its watchers are called once more at the end', async () => {
  const bytes = randomBytes(500_000)
  const { source, sendRest } = sendsTo(bytes, 200_000)
  const { local, flights, store } = setUp(source)
  const want = wantOf(bytes)
  const { digest } = want
  const fetched = local.fetch(want)
  const again = local.fetch(want)
  const half = new Promise<void>((resolve) => {
    const stop = local.watch(digest, () => {
      if (flights.get(digest)?.released !== 200_000) return
      stop()
      resolve()
    })
  })
  await half
  assert.deepEqual(await local.state({ digest, repository }), {
    isComplete: false,
    availableBytes: 200_000,
    size: 500_000,
    mediaType: 'text/plain',
  })
  assert.deepEqual(await local.checkpoints(digest), checkpointsOf(bytes).subarray(0, 48))
  assert.deepEqual(await local.checkpoints(digest, 2), checkpointsOf(bytes).subarray(32, 48))
  const content = await local.open({ digest, repository }, { signal })
  assert.equal(await content?.readable(0, { signal }), 200_000)
  const calls: string[] = []
  local.watch(digest, () => {
    if (store.stored.has(digest) && flights.get(digest) === undefined) calls.push('ended')
  })
  sendRest()
  await Promise.all([fetched, again])
  await content?.close()
  assert.deepEqual(calls, ['ended'])
  assert.equal((await local.state({ digest, repository }))?.isComplete, true)
  assert.deepEqual(source.attempts, [0])
})

it('a size that is not known yet is undefined', async () => {
  let sendRest = (): void => {}
  const rest = new Promise<void>((resolve) => {
    sendRest = resolve
  })
  const { local } = setUp(
    new ScriptedSource('registry', [
      async () => {
        await rest
        throw new Failure('absent', 'not here')
      },
    ]),
  )
  const want = wantOf(randomBytes(10))
  const fetched = local.fetch(want)
  // The flight begins only after the store was asked.
  while ((await local.state(want)) === undefined);
  assert.deepEqual(await local.state(want), {
    isComplete: false,
    availableBytes: 0,
    size: undefined,
    mediaType: undefined,
  })
  sendRest()
  await assert.rejects(fetched, { code: 'absent' })
})

it('a fetch rejects with the failure of its flight', async () => {
  const denied = new Failure('denied', 'no credentials')
  const { local, flights } = setUp(new ScriptedSource('registry', [fails(denied)]))
  await assert.rejects(local.fetch(wantOf(randomBytes(10))), (error) => error === denied)
  await flights.stop()
  await assert.rejects(local.fetch(wantOf(randomBytes(10))), { code: 'stopping' })
})

it('content is found at every moment while it is being stored', async () => {
  for (let round = 0; round < 20; round++) {
    const bytes = randomBytes(100_000)
    const { local } = setUp(new ScriptedSource('registry', [sends(bytes)]))
    const want = wantOf(bytes)
    const fetched = local.fetch(want)
    while ((await local.state(want)) === undefined);
    let over = false
    void fetched.then(() => {
      over = true
    })
    while (!over) {
      assert.notEqual(await local.state(want), undefined)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
})
