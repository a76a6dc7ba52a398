import { statfs } from 'node:fs/promises'
import { type GetOptions, Level, type PutOptions } from 'level'
import { errorCode } from '../../lib/error-code.ts'
import type { BatchWrite, Database, DatabaseBatch, DatabaseIterator, KeyRange } from './database.ts'
import { WriteGroups } from './write-groups.ts'

/** LevelDB's defaults use up to 16 MiB. The index is small, and `BlobIndex` caches entries in use: 3 MiB are enough. */
const OPTIONS = { cacheSize: 2 * 1024 * 1024, writeBufferSize: 1024 * 1024 }
/** A batch with longer values is an array: the memory of a chained batch is only freed when JavaScript's is collected. */
const MOST_CHAINED = 64 * 1024
/** Opening may write a table of what is in the log, a new log and a new manifest. */
const REOPEN_BYTES = 3 * OPTIONS.writeBufferSize

/**
 * LevelDB that survives a full disk. After LevelDB could not write a table, it refuses all writes until it is opened again.
 * Worse, it acknowledges records behind one that was cut off by the end of the disk, and drops them at the next start. So
 * after a failed write nothing is written before LevelDB was opened again, which happens at the next write for which the disk
 * has room. Everything can be read meanwhile.
 */
export class ResilientLevel implements Database {
  readonly #location: string
  readonly #level: Level<string, string>
  readonly #groups = new WriteGroups((operations) => this.#writeNow(operations, { sync: true }))
  /** The failed write after which LevelDB must be opened again. */
  #writeError: unknown
  /** How often LevelDB was opened again. */
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
    await this.#groups.idle()
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
    return new LevelBatch((operations, options) => this.#write(operations, options))
  }

  #write(operations: BatchWrite[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    return sync ? this.#groups.write(operations) : this.#writeNow(operations, { sync })
  }

  async #writeNow(operations: BatchWrite[], options: { sync: boolean }): Promise<void> {
    for (let isLast = false; ; isLast = true) {
      if (this.#writeError !== undefined) await this.#reopen()
      const renewals = this.#reopenCount
      try {
        if (isLong(operations)) await this.#level.batch(operations, options)
        else await this.#chained(operations).write(options)
        // If another write has failed meanwhile, this record may stand behind the failed one in the log.
        if (this.#writeError === undefined && renewals === this.#reopenCount) return
      } catch (error) {
        if (errorCode(error) !== 'LEVEL_IO_ERROR') throw error
        this.#writeError = error
      }
      if (isLast) throw this.#writeError ?? new Error('the index was opened again twice during one write')
    }
  }

  /** A chained batch costs a third of an array: the latter copies each operation several times. */
  #chained(operations: readonly BatchWrite[]) {
    const chained = this.#level.batch()
    for (const operation of operations) {
      if (operation.type === 'put') chained.put(operation.key, operation.value, operation)
      else chained.del(operation.key)
    }
    return chained
  }

  #reopen(): Promise<void> {
    this.#reopening ??= this.#reopenNow().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async #reopenNow(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#location)
    // Without room LevelDB could be closed but not opened, and then nothing could be read.
    if (bavail * bsize < REOPEN_BYTES) throw this.#writeError
    await this.#level.close()
    await this.#level.open()
    this.#reopenCount += 1
    this.#writeError = undefined
  }
}

function isLong(operations: readonly BatchWrite[]): boolean {
  let length = 0
  for (const operation of operations) if (operation.type === 'put') length += operation.value.length
  return length > MOST_CHAINED
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
