import assert from 'node:assert/strict'
import { all } from '../folder.ts'
import { contents, type TestContent } from './contents.ts'
import type { Model } from './model.ts'
import { Step } from './step.ts'
import type { TestedStore } from './tested-store.ts'

const { signal } = new AbortController()

/** Sets or removes a pin. */
export class SetPin extends Step {
  readonly #content: TestContent
  readonly #pinned: boolean

  constructor(content: TestContent, pinned: boolean) {
    super()
    this.#content = content
    this.#pinned = pinned
  }

  async run(model: Model, real: TestedStore): Promise<void> {
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

/** Removes a content unless a pin retains it. */
export class Remove extends Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    super()
    this.#content = content
  }

  async run(model: Model, real: TestedStore): Promise<void> {
    const { digest } = this.#content
    const isRemovable = model.memory.stored.has(digest) && !model.isRetained(digest)
    assert.equal(await real.store.remove(digest), isRemovable)
    if (isRemovable) model.memory.stored.delete(digest)
  }

  toString(): string {
    return `remove ${this.#content.digest.slice(7, 15)}`
  }
}

/** Evicts down to a size. The store chooses the blobs, but none that is pinned, and no more than needed. */
export class Evict extends Step {
  readonly #toBytes: number

  constructor(toBytes: number) {
    super()
    this.#toBytes = toBytes
  }

  async run(model: Model, real: TestedStore): Promise<void> {
    const before = model.memory.stored
    const retained = new Set([...before.keys()].filter((digest) => model.isRetained(digest)))
    await real.store.gc({ toBytes: this.#toBytes, signal })
    const left = new Set((await all(real.store.list())).map(({ digest }) => digest))
    for (const digest of [...before.keys()]) {
      if (left.has(digest)) continue
      assert.ok(!retained.has(digest), `${digest} is pinned and was evicted`)
      before.delete(digest)
    }
    const isAllRetained = [...before.keys()].every((digest) => retained.has(digest))
    assert.ok(
      isAllRetained || real.store.usage().bytes <= this.#toBytes,
      `${real.store.usage().bytes} bytes are left`,
    )
  }

  toString(): string {
    return `evict to ${this.#toBytes}`
  }
}

/** Closes and opens the store, or lets it crash. */
export class Restart extends Step {
  readonly #how: 'restart' | 'crash'

  constructor(how: 'restart' | 'crash') {
    super()
    this.#how = how
  }

  async run(_model: Model, real: TestedStore): Promise<void> {
    if (this.#how === 'crash') await real.crash()
    else await real.restart()
  }

  toString(): string {
    return this.#how
  }
}

/** Checks that store and model agree on everything. */
export class Checked extends Step {
  readonly #step: Step

  constructor(step: Step) {
    super()
    this.#step = step
  }

  async run(model: Model, real: TestedStore): Promise<void> {
    await this.#step.run(model, real)
    const digests = [...model.memory.stored.keys()].sort()
    assert.deepEqual(
      (await all(real.store.list())).map(({ digest }) => digest),
      digests,
    )
    const bytes = [...model.memory.stored.values()].reduce((sum, each) => sum + each.bytes.length, 0)
    assert.deepEqual(real.store.usage(), { bytes, blobs: digests.length })
    for (const { digest } of contents) {
      assert.deepEqual(await real.store.pinsOf(digest), model.pinsOf(digest), `the pins of ${digest}`)
    }
  }

  toString(): string {
    return this.#step.toString()
  }
}
