import assert from 'node:assert/strict'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { feed, stored, wanted } from '../../conformance/blob-steps.ts'
import type { TestContent } from './contents.ts'
import type { Model } from './model.ts'
import { Step } from './step.ts'
import type { TestedStore } from './tested-store.ts'

/** Stores a content in two parts, or only the first part, which stays as a partial. */
export class Put extends Step {
  readonly #content: TestContent
  readonly #upTo: number

  constructor(content: TestContent, part: number) {
    super()
    this.#content = content
    this.#upTo = Math.floor(content.bytes.length * part)
  }

  async run(model: Model, real: TestedStore): Promise<void> {
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
export class PutWrong extends Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    super()
    this.#content = content
  }

  async run(model: Model, real: TestedStore): Promise<void> {
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

/** Reads a content, which both stores have or neither has. */
export class Read extends Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    super()
    this.#content = content
  }

  async run(model: Model, real: TestedStore): Promise<void> {
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

/** Deletes a file between two runs. */
export class Lose extends Step {
  readonly #content: TestContent

  constructor(content: TestContent) {
    super()
    this.#content = content
  }

  async run(model: Model, real: TestedStore): Promise<void> {
    await real.restart(this.#content.digest)
    model.memory.stored.delete(this.#content.digest)
  }

  toString(): string {
    return `delete ${this.#content.digest.slice(7, 15)} and restart`
  }
}
