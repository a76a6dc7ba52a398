import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import fc from 'fast-check'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Layout } from '../../src/store/files/layout.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf, MemoryStore } from '../../testkit/memory/memory-store.ts'
import { runs } from '../../testkit/property-runs.ts'
import { feed, stored, wanted } from '../conformance/blob-store.ts'
import { all } from './folder.ts'

/**
 * Compares the store on disk with a model in memory: after the same operations in any order, with crashes and restarts
 * between them, both have the same blobs. A crash is simulated by a new store that opens a copy of the folder.
 */

const { signal } = new AbortController()
const SIZES = [0, 100, 65_536, 70_000, 300_000]
const BLOBS = 8
const MANIFESTS = 3
const RUNS = 6
const STEPS = 60

interface TestContent {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly kind: 'manifest' | 'blob'
  readonly references: readonly Digest[]
}

const blobs: readonly TestContent[] = Array.from({ length: BLOBS }, (_, n) => {
  const bytes = Buffer.alloc(SIZES[n % SIZES.length] ?? 0, createHash('sha256').update(`blob ${n}`).digest())
  const unlike = Buffer.concat([bytes, Buffer.from(`${n}`)])
  return { digest: digestOf(unlike), bytes: unlike, kind: 'blob', references: [] }
})
/** Each manifest references two blobs; the last one references the other manifests, as an index does. */
const manifests: readonly TestContent[] = Array.from({ length: MANIFESTS }, (_, n) => {
  const references =
    n < MANIFESTS - 1
      ? blobs.slice(n * 2, n * 2 + 2).map(({ digest }) => digest)
      : Array.from({ length: n }, (__, other) => digestOf(manifestBytes(other)))
  return { digest: digestOf(manifestBytes(n)), bytes: manifestBytes(n), kind: 'manifest', references }
})
const contents = [...blobs, ...manifests]

function manifestBytes(n: number): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, number: n }))
}

class Model {
  /** The operations on the model in memory. */
  readonly memory = new MemoryStore()
  /** What each pin retains: the digest itself and all that it references, once that is known. */
  readonly pins = new Map<Digest, Set<Digest>>()
  /** The sizes of partials that unfinished transfers have left. */
  readonly partials = new Map<Digest, number>()

  pin(digest: Digest): void {
    if (this.pins.has(digest)) return
    this.pins.set(digest, new Set([digest]))
    this.extendPins()
  }

  /** Extends each pin to all that is reachable from it. */
  extendPins(): void {
    for (const kept of this.pins.values()) {
      // The loop also visits digests that are added meanwhile.
      for (const digest of kept) {
        for (const child of this.memory.stored.get(digest)?.references ?? []) kept.add(child)
      }
    }
  }

  pinsOf(digest: Digest): Digest[] {
    return [...this.pins].flatMap(([pin, kept]) => (kept.has(digest) ? pin : [])).sort()
  }

  isRetained(digest: Digest): boolean {
    return this.pinsOf(digest).length > 0
  }
}

class DiskSide {
  readonly root: string
  store: Store
  #path: string
  #crashes = 0

  static async begin(root: string): Promise<DiskSide> {
    const path = join(root, '0')
    return new DiskSide(root, path, await openStore({ path }))
  }

  private constructor(root: string, path: string, store: Store) {
    this.root = root
    this.#path = path
    this.store = store
  }

  /** Restarts the store, after the file of a blob was deleted if the step says so. */
  async restart(missing?: Digest): Promise<void> {
    await this.store.close()
    if (missing !== undefined) await rm(new Layout(this.#path).blob(missing), { force: true })
    this.store = await openStore({ path: this.#path })
    await this.store.recovered
  }

  /** Simulates a crash: a new store opens a copy of the folder as it is now. */
  async crash(): Promise<void> {
    this.#crashes += 1
    const next = join(this.root, `${this.#crashes}`)
    await cp(this.#path, next, { recursive: true })
    await this.store.close()
    await rm(this.#path, { recursive: true })
    this.#path = next
    this.store = await openStore({ path: next })
    await this.store.recovered
  }
}

type Step = fc.AsyncCommand<Model, DiskSide>

/** Stores a content in two parts, or only the first part, which stays as a partial. */
class Put implements Step {
  readonly #content: TestContent
  readonly #upTo: number

  constructor(content: TestContent, part: number) {
    this.#content = content
    this.#upTo = Math.floor(content.bytes.length * part)
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const { digest, bytes, kind, references } = this.#content
    for (const store of [model.memory, real.store.blobs]) {
      const incoming = await store.begin(wanted(digest, kind))
      try {
        assert.ok(
          [0, model.partials.get(digest)].includes(incoming.position),
          `goes on at ${incoming.position}`,
        )
        if (incoming.position < this.#upTo)
          await feed(incoming, bytes.subarray(incoming.position, this.#upTo))
        if (this.#upTo < bytes.length) continue
        assert.equal(await incoming.digest(), digest)
        const facts = {
          mediaType: kind === 'manifest' ? OCI_MANIFEST : undefined,
          origin: 'a test',
          subject: undefined,
        }
        assert.equal(await incoming.commit({ ...facts, references }), true)
      } finally {
        await incoming.close()
      }
    }
    if (this.#upTo < bytes.length)
      model.partials.set(digest, Math.max(this.#upTo, model.partials.get(digest) ?? 0))
    else model.partials.delete(digest)
    model.extendPins()
  }

  toString(): string {
    return `put ${this.#content.digest.slice(7, 15)} up to ${this.#upTo} of ${this.#content.bytes.length}`
  }
}

/** Receives wrong bytes, which must leave nothing. */
class PutWrong implements Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    this.#content = content
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const { digest, bytes, kind } = this.#content
    for (const store of [model.memory, real.store.blobs]) {
      const incoming = await store.begin(wanted(digest, kind))
      try {
        await feed(incoming, Buffer.alloc(bytes.length + 1, 'wrong'))
        assert.notEqual(await incoming.digest(), digest)
        await incoming.restart()
        assert.equal(incoming.position, 0)
      } finally {
        await incoming.close()
      }
    }
    model.partials.delete(digest)
  }

  toString(): string {
    return `put wrong bytes for ${this.#content.digest.slice(7, 15)}`
  }
}

class Read implements Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    this.#content = content
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const { digest, bytes } = this.#content
    const expected = await stored(model.memory, digest)
    const found = await stored(real.store.blobs, digest)
    assert.equal(found === undefined, expected === undefined, `${this}: ${found?.length} ${expected?.length}`)
    if (found !== undefined) assert.ok(found.equals(bytes))
  }

  toString(): string {
    return `read ${this.#content.digest.slice(7, 15)}`
  }
}

class SetPin implements Step {
  readonly #content: TestContent
  readonly #pinned: boolean

  constructor(content: TestContent, pinned: boolean) {
    this.#content = content
    this.#pinned = pinned
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const { digest } = this.#content
    if (this.#pinned) {
      model.pin(digest)
      await real.store.pin(digest)
    } else {
      model.pins.delete(digest)
      await real.store.unpin(digest)
    }
    assert.deepEqual(
      (await all(real.store.pins())).map((pin) => pin.digest),
      [...model.pins.keys()].sort(),
    )
  }

  toString(): string {
    return `${this.#pinned ? 'pin' : 'unpin'} ${this.#content.digest.slice(7, 15)}`
  }
}

class Remove implements Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    this.#content = content
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const { digest } = this.#content
    const free = model.memory.stored.has(digest) && !model.isRetained(digest)
    assert.equal(await real.store.remove(digest), free)
    if (free) model.memory.stored.delete(digest)
  }

  toString(): string {
    return `remove ${this.#content.digest.slice(7, 15)}`
  }
}

/** Evicts down to a size. The store chooses the blobs, but none that is pinned, and no more than needed. */
class Evict implements Step {
  readonly #toBytes: number

  constructor(toBytes: number) {
    this.#toBytes = toBytes
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    const before = model.memory.stored
    const kept = new Set([...before.keys()].filter((digest) => model.isRetained(digest)))
    await real.store.gc({ toBytes: this.#toBytes, signal })
    const left = new Set((await all(real.store.list())).map(({ digest }) => digest))
    for (const digest of [...before.keys()]) {
      if (left.has(digest)) continue
      assert.ok(!kept.has(digest), `${digest} is pinned and went`)
      before.delete(digest)
    }
    const stuck = [...before.keys()].every((digest) => kept.has(digest))
    assert.ok(
      stuck || real.store.usage().bytes <= this.#toBytes,
      `${real.store.usage().bytes} bytes are left`,
    )
  }

  toString(): string {
    return `evict to ${this.#toBytes}`
  }
}

class Restart implements Step {
  readonly #how: 'restart' | 'crash'

  constructor(how: 'restart' | 'crash') {
    this.#how = how
  }

  check(): boolean {
    return true
  }

  async run(_model: Model, real: DiskSide): Promise<void> {
    if (this.#how === 'crash') await real.crash()
    else await real.restart()
  }

  toString(): string {
    return this.#how
  }
}

/** Deletes a file between two runs. */
class Lose implements Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    this.#content = content
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    await real.restart(this.#content.digest)
    model.memory.stored.delete(this.#content.digest)
  }

  toString(): string {
    return `delete ${this.#content.digest.slice(7, 15)} and restart`
  }
}

/** Checks that store and model agree on everything. */
class Checked implements Step {
  readonly #step: Step

  constructor(step: Step) {
    this.#step = step
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: DiskSide): Promise<void> {
    await this.#step.run(model, real)
    const here = [...model.memory.stored.keys()].sort()
    assert.deepEqual(
      (await all(real.store.list())).map(({ digest }) => digest),
      here,
    )
    const bytes = [...model.memory.stored.values()].reduce((sum, each) => sum + each.bytes.length, 0)
    assert.deepEqual(real.store.usage(), { bytes, blobs: here.length })
    for (const { digest } of contents) {
      assert.deepEqual(await real.store.pinsOf(digest), model.pinsOf(digest), `the pins of ${digest}`)
    }
  }

  toString(): string {
    return this.#step.toString()
  }
}

it('the store behaves as a model in memory under any order of operations and crashes', async () => {
  const any = fc.constantFrom(...contents)
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(any, fc.constantFrom(1, 1, 1, 0.6))
        .map(([content, part]) => new Put(content, part)),
    },
    { weight: 1, arbitrary: any.map((content) => new PutWrong(content)) },
    { weight: 4, arbitrary: any.map((content) => new Read(content)) },
    {
      weight: 3,
      arbitrary: fc.tuple(any, fc.boolean()).map(([content, pinned]) => new SetPin(content, pinned)),
    },
    { weight: 2, arbitrary: any.map((content) => new Remove(content)) },
    { weight: 2, arbitrary: fc.constantFrom(0, 100_000, 400_000).map((bytes) => new Evict(bytes)) },
    { weight: 2, arbitrary: fc.constantFrom('restart', 'crash').map((how) => new Restart(how)) },
    { weight: 1, arbitrary: any.map((content) => new Lose(content)) },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.commands([step.map((each) => new Checked(each))], { maxCommands: STEPS, size: 'max' }),
      async (steps) => {
        const root = await mkdtemp(join(tmpdir(), 'leat-model-'))
        const real = await DiskSide.begin(root)
        try {
          await fc.asyncModelRun(() => ({ model: new Model(), real }), steps)
        } finally {
          await real.store.close()
          await rm(root, { recursive: true })
        }
      },
    ),
    runs(RUNS),
  )
})
