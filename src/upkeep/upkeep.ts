import type { GcLine, HostedGcLine, PinsReport, RemovalLine, VerifyLine } from '../schemas/upkeep-report.ts'
import { evict } from './eviction.ts'
import { ExclusiveTask } from './exclusive-task.ts'
import { collectHosted, type GarbageCollector, NOTHING_HOSTED } from './hosted-garbage.ts'
import { pin, unpin } from './pins.ts'
import { remove } from './removal.ts'
import { findUpkeepSubject, type UpkeepSubject } from './subject.ts'
import type { UpkeepStore } from './upkeep-store.ts'
import { verify } from './verification.ts'

/**
 * What an operator may do to the stored content: evict, verify, pin, remove. A method throws a `RequestError` before it
 * changes anything. A method that gives lines ends with a `done` line, or throws. Only one of those runs at a time.
 */
export class Upkeep {
  readonly #store: UpkeepStore
  readonly #defaultNamespace: string
  readonly #garbage: GarbageCollector
  readonly #task = new ExclusiveTask()

  constructor(store: UpkeepStore, defaultNamespace: string, garbage: GarbageCollector = NOTHING_HOSTED) {
    this.#store = store
    this.#garbage = garbage
    this.#defaultNamespace = defaultNamespace
  }

  gc(options: { toBytes: number | undefined; signal: AbortSignal }): AsyncGenerator<GcLine> {
    return this.#task.run('an eviction', () => evict(this.#store, options))
  }

  /** Removes what no tag of a hosted repository needs, and the tags that no rule keeps. */
  collectHosted(options: { isDryRun: boolean; signal: AbortSignal }): AsyncGenerator<HostedGcLine> {
    return this.#task.run('a collection of hosted content', () => collectHosted(this.#garbage, options))
  }

  verify(options: { bytesPerSecond: number | undefined; signal: AbortSignal }): AsyncGenerator<VerifyLine> {
    return this.#task.run('a verification', () => verify(this.#store, options))
  }

  async pin(subjects: readonly string[]): Promise<PinsReport> {
    return pin(this.#store, await this.#find(subjects))
  }

  async unpin(subjects: readonly string[]): Promise<PinsReport> {
    return unpin(this.#store, await this.#find(subjects))
  }

  /** Removes the subjects and what only they need. With `force` it also removes what is pinned, and the pins. */
  remove(options: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncGenerator<RemovalLine> {
    return this.#task.run('a removal', () => this.#remove(options))
  }

  async *#remove({
    subjects,
    ...options
  }: {
    subjects: readonly string[]
    force: boolean
    signal: AbortSignal
  }): AsyncGenerator<RemovalLine> {
    yield* remove(this.#store, await this.#find(subjects), options)
  }

  async #find(subjects: readonly string[]): Promise<readonly UpkeepSubject[]> {
    const found: UpkeepSubject[] = []
    for (const subject of new Set(subjects)) {
      found.push(await findUpkeepSubject(this.#store, subject, this.#defaultNamespace))
    }
    return found
  }
}
