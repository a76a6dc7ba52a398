import type { BatchWrite } from './database.ts'

/** How many writes are joined: LevelDB has the whole group in memory. */
const MOST_JOINED = 64

interface WaitingWrite {
  readonly operations: readonly BatchWrite[]
  resolve(): void
  reject(error: unknown): void
}

/**
 * Joins synced writes. All that come in one turn of the event loop, or while a group is being written, are one batch: one sync
 * makes all of them durable, and one thread is woken for all. A group fails as a whole.
 */
export class WriteGroups {
  readonly #write: (operations: BatchWrite[]) => Promise<void>
  readonly #waiting: WaitingWrite[] = []
  #writing: Promise<void> | undefined

  constructor(write: (operations: BatchWrite[]) => Promise<void>) {
    this.#write = write
  }

  /** Resolves when the operations are durable. */
  write(operations: readonly BatchWrite[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operations, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // Others of this turn join the first group.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MOST_JOINED)
      try {
        await this.#write(group.flatMap(({ operations }) => operations))
        for (const each of group) each.resolve()
      } catch (error) {
        for (const each of group) each.reject(error)
      }
    }
    this.#writing = undefined
  }
}
