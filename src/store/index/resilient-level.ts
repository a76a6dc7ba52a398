import { statfs } from 'node:fs/promises'
import { type GetOptions, Level, type PutOptions } from 'level'
import { errorCode } from '../../lib/error-code.ts'
import type { BatchWrite, Database, DatabaseBatch, DatabaseIterator, KeyRange } from './database.ts'

/** LevelDB's own defaults keep up to 16 MiB; the index is small and what is hot in it is remembered above. */
const OPTIONS = { cacheSize: 2 * 1024 * 1024, writeBufferSize: 1024 * 1024 }
/** What opening may need: a table of what is in the log, a new log and a new manifest. */
const REOPEN_BYTES = 3 * OPTIONS.writeBufferSize

/**
 * LevelDB that outlives a full disk. By itself it takes no more writes, for as long as it is open, once it could not write a
 * table; and what it writes behind a record that was cut off by the end of the disk is acknowledged, and dropped at the
 * next start. So after a write that failed nothing is written before it was opened again, which is done as soon as there is
 * room; meanwhile everything can still be read.
 */
export class ResilientLevel implements Database {
  readonly #location: string
  readonly #level: Level<string, string>
  /** Why nothing may be written to it as it is. */
  #writeError: unknown
  /** How often it was opened again. */
  #reopenCount = 0
  #reopening: Promise<void> | undefined

  constructor(location: string) {
    this.#location = location
    this.#level = new Level(location, OPTIONS)
  }

  open(): Promise<void> {
    return this.#level.open()
  }

  async close(): Promise<void> {
    await this.#reopening?.catch(() => {})
    await this.#level.close()
  }

  get(key: string): Promise<string | undefined>
  get<K, V>(key: K, options: GetOptions<K, V>): Promise<V | undefined>
  async get(key: string, options: GetOptions<string, string> = {}): Promise<unknown> {
    await this.#reopening?.catch(() => {})
    return this.#level.get(key, options)
  }

  async getMany(keys: string[]): Promise<(string | undefined)[]> {
    await this.#reopening?.catch(() => {})
    return this.#level.getMany(keys)
  }

  keys(range: KeyRange = {}): DatabaseIterator<string> {
    return this.#level.keys(range)
  }

  iterator(range: KeyRange): DatabaseIterator<[string, string]> {
    return this.#level.iterator(range)
  }

  put(key: string, value: string): Promise<void> {
    return this.#write([{ type: 'put', key, value }])
  }

  del(key: string): Promise<void> {
    return this.#write([{ type: 'del', key }])
  }

  batch(operations: BatchWrite[]): Promise<void>
  batch(): DatabaseBatch
  batch(operations?: BatchWrite[]): DatabaseBatch | Promise<void> {
    if (operations !== undefined) return this.#write(operations)
    return new LevelBatch((gathered, options) => this.#write(gathered, options))
  }

  async #write(operations: BatchWrite[], options: { sync?: boolean } = {}): Promise<void> {
    for (let last = false; ; last = true) {
      if (this.#writeError !== undefined) await this.#reopen()
      const renewals = this.#reopenCount
      try {
        await this.#level.batch(operations, options)
        // Not so if another write has failed meanwhile: this one may stand behind it in the log.
        if (this.#writeError === undefined && renewals === this.#reopenCount) return
      } catch (error) {
        if (errorCode(error) !== 'LEVEL_IO_ERROR') throw error
        this.#writeError = error
      }
      if (last) throw this.#writeError ?? new Error('the index was opened again twice during one write')
    }
  }

  #reopen(): Promise<void> {
    this.#reopening ??= this.#reopenNow().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async #reopenNow(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#location)
    // One that cannot be opened again could not even be read.
    if (bavail * bsize < REOPEN_BYTES) throw this.#writeError
    await this.#level.close()
    await this.#level.open()
    this.#reopenCount += 1
    this.#writeError = undefined
  }
}

class LevelBatch implements DatabaseBatch {
  readonly #write: (operations: BatchWrite[], options?: { sync?: boolean }) => Promise<void>
  readonly #operations: BatchWrite[] = []

  constructor(write: (operations: BatchWrite[], options?: { sync?: boolean }) => Promise<void>) {
    this.#write = write
  }

  put(key: string, value: string): this
  put<K, V>(key: K, value: V, options: PutOptions<K, V>): this
  put(key: string, value: string, options: PutOptions<string, string> = {}): this {
    this.#operations.push({ ...options, type: 'put', key, value })
    return this
  }

  del(key: string): this {
    this.#operations.push({ type: 'del', key })
    return this
  }

  write(options?: { sync?: boolean }): Promise<void> {
    return this.#write(this.#operations, options)
  }
}
