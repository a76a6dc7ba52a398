import type { BatchOperation, GetOptions, IteratorOptions, Level, PutOptions } from 'level'

/** The index as the rest of the store uses it: what `LastingLevel` does, in the words of LevelDB. */
export interface Database {
  get(key: string): Promise<string | undefined>
  get<K, V>(key: K, options: GetOptions<K, V>): Promise<V | undefined>
  getMany(keys: string[]): Promise<(string | undefined)[]>
  put(key: string, value: string): Promise<void>
  del(key: string): Promise<void>
  /** Changes that are made together: those given, or those added until `write`. */
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
  /** With `sync` they are durable when it resolves. */
  write(options?: { sync?: boolean }): Promise<void>
}

export interface DatabaseIterator<Item> {
  nextv(size: number): Promise<Item[]>
  all(): Promise<Item[]>
  close(): Promise<void>
}

/** Keys of one kind start with its name and this; the character after it ends their range. */
export const SEPARATOR = '!'
const AFTER_SEPARATOR = '"'

/** All keys that start with `parts`. */
export function keysUnder(...parts: string[]): { gte: string; lt: string } {
  const start = parts.join(SEPARATOR)
  return { gte: start + SEPARATOR, lt: start + AFTER_SEPARATOR }
}
