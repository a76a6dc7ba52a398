import type { BatchOperation, GetOptions, IteratorOptions, Level, PutOptions } from 'level'

/** The key-value store under the index, with LevelDB's methods. `ResilientLevel` implements it. */
export interface Database {
  get(key: string): Promise<string | undefined>
  get<K, V>(key: K, options: GetOptions<K, V>): Promise<V | undefined>
  getMany(keys: string[]): Promise<(string | undefined)[]>
  put(key: string, value: string): Promise<void>
  del(key: string): Promise<void>
  /** Changes that are written atomically: the given operations, or those added until `write`. */
  batch(operations: BatchWrite[]): Promise<void>
  batch(): DatabaseBatch
  keys(range?: KeyRange): DatabaseIterator<string>
  iterator(range: KeyRange): DatabaseIterator<[string, string]>
  close(): Promise<void>
}

export type BatchWrite = BatchOperation<Level<string, string>, string, string>
export type KeyRange = IteratorOptions<string, string>

export interface DatabaseBatch {
  put(key: string, value: string): this
  put<K, V>(key: K, value: V, options: PutOptions<K, V>): this
  del(key: string): this
  /** With `sync` the changes are durable when the call resolves. */
  write(options?: { sync?: boolean }): Promise<void>
}

export interface DatabaseIterator<Item> {
  nextv(size: number): Promise<Item[]>
  all(): Promise<Item[]>
  close(): Promise<void>
}

/** A key starts with the name of its kind and this separator. The next character of ASCII ends the range of the kind. */
export const SEPARATOR = '!'
const AFTER_SEPARATOR = '"'
const PAGE_SIZE = 1000

/** Gives the range of all keys that start with `parts`. */
export function keysUnder(...parts: string[]): { gte: string; lt: string } {
  const start = parts.join(SEPARATOR)
  return { gte: start + SEPARATOR, lt: start + AFTER_SEPARATOR }
}

/** Reads a range a page at a time: one promise for each entry would cost more than reading it. */
export async function* pages(
  database: Database,
  range: { gte: string; lt: string },
): AsyncGenerator<[string, string]> {
  const iterator = database.iterator(range)
  try {
    for (;;) {
      const page = await iterator.nextv(PAGE_SIZE)
      if (page.length === 0) return
      yield* page
    }
  } finally {
    await iterator.close()
  }
}
