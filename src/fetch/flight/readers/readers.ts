import { onAbort, unlessAborted } from '../../../lib/async/abort.ts'
import { Deferred } from '../../../lib/async/deferred.ts'
import { Failure } from '../../../ports/failure.ts'
import {
  bytesGoneFailure,
  idleReaderFailure,
  readerLeftFailure,
  sizeChangedFailure,
} from './reader-errors.ts'

export interface KnownHead {
  readonly size: number
  readonly mediaType: string | undefined
}

/**
 * One that reads a flight. The size that it was promised and the bytes that it may have decide whether it survives a new
 * beginning.
 */
export interface Reader {
  /** The promised size; undefined while the reader waits for it. */
  size: number | undefined
  /** How many bytes from the start were released to this reader. */
  releasedBytes: number
  /** Where the reader is: it needs no byte before this offset any more. */
  offset: number
  /** When the reader last moved, or got bytes to move on with. */
  movedAt: number
  /** Why the reader gets nothing more, although others may. */
  dismissed: Failure | undefined
  /** It reads only parts, which may come before the rest. */
  isForParts: boolean
}

interface Waiter {
  readonly offset: number
  readonly reader: Reader
  readonly settle: (outcome: number | Failure) => void
}

/** The bytes of the flight, as far as its readers need to know them. */
export interface ReadableBytes {
  /** How many bytes from the start may be read now. */
  releasedBytes(): number
  /** The position up to which a reader of parts may read from `offset` on, although bytes before it are missing. */
  releasedAhead(offset: number): number
  /** The first byte that can still be read. */
  readableFrom(): number
  /** Called when a reader has joined, has moved, has left or was dismissed. */
  onMove(): void
}

/** Those who follow one flight: the ones that wait for its size, the ones that wait for bytes, and the ones that read. */
export class Readers {
  readonly #bytes: ReadableBytes
  readonly #readers = new Set<Reader>()
  readonly #waiters = new Set<Waiter>()
  #knownHead: KnownHead | undefined
  #awaitedHead = newAwaitedHead()
  #failure: Failure | undefined
  #joinedCount = 0

  constructor(bytes: ReadableBytes) {
    this.#bytes = bytes
  }

  get count(): number {
    return this.#readers.size
  }

  /** How many readers have not been dismissed. */
  get activeCount(): number {
    let count = 0
    for (const reader of this.#readers) if (reader.dismissed === undefined) count += 1
    return count
  }

  /** Whether there are readers, and all of them read only parts. */
  get areForParts(): boolean {
    let count = 0
    for (const { dismissed, isForParts } of this.#readers) {
      if (dismissed !== undefined) continue
      if (!isForParts) return false
      count += 1
    }
    return count > 0
  }

  /** The offset of the reader that is furthest behind; undefined when there is none. */
  get slowestOffset(): number | undefined {
    let slowest: number | undefined
    for (const { offset, dismissed } of this.#readers) {
      if (dismissed === undefined && offset < (slowest ?? Number.POSITIVE_INFINITY)) slowest = offset
    }
    return slowest
  }

  /** How many readers have joined so far, including those that have left. */
  get joinedCount(): number {
    return this.#joinedCount
  }

  get knownHead(): KnownHead | undefined {
    return this.#knownHead
  }

  join({ isForParts = false } = {}): Reader {
    const reader: Reader = {
      size: undefined,
      releasedBytes: 0,
      offset: 0,
      movedAt: Date.now(),
      dismissed: undefined,
      isForParts,
    }
    this.#readers.add(reader)
    this.#joinedCount += 1
    this.#bytes.onMove()
    return reader
  }

  /** The reader reads more than parts after all. */
  wantsAll(reader: Reader): void {
    reader.isForParts = false
    this.#bytes.onMove()
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    this.#settleWaiters(reader, readerLeftFailure())
    this.#bytes.onMove()
  }

  /** Waits for size and type, which are a promise to this reader from then on. */
  async head(reader: Reader, options: { signal: AbortSignal }): Promise<KnownHead> {
    for (;;) {
      const head = await unlessAborted(this.#awaitedHead.promise, options.signal)
      // The flight may have begun again in between.
      if (head === this.#knownHead) {
        reader.size = head.size
        return head
      }
    }
  }

  announceHead(head: KnownHead): void {
    if (this.#knownHead !== undefined) return
    this.#knownHead = head
    this.#awaitedHead.resolve(head)
    // A reader from before a new beginning can stay only if the promise to it still holds.
    for (const reader of this.#readers) {
      const { size } = reader
      if (size !== undefined && size !== head.size) this.#dismiss(reader, sizeChangedFailure(size, head.size))
    }
  }

  /** Gives how many bytes from the start may be read, once there are more than `offset`. Moves the reader to `offset`. */
  readable(reader: Reader, offset: number, signal: AbortSignal): number | Promise<number> {
    if (reader.dismissed !== undefined) return Promise.reject(reader.dismissed)
    if (offset < this.#bytes.readableFrom()) {
      const failure = bytesGoneFailure(offset)
      this.#dismiss(reader, failure)
      return Promise.reject(failure)
    }
    if (offset !== reader.offset) {
      reader.offset = offset
      reader.movedAt = Date.now()
      this.#bytes.onMove()
    }
    const released = this.#releasedTo(reader, offset)
    if (isEnough(released, offset, reader)) {
      reader.releasedBytes = Math.max(reader.releasedBytes, released)
      return released
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (signal.aborted) return Promise.reject(readerLeftFailure())
    return this.#wait(reader, offset, signal)
  }

  /** Lets waiting readers go on when enough bytes have been released. */
  wake(): void {
    for (const waiter of this.#waiters) {
      const released = this.#releasedTo(waiter.reader, waiter.offset)
      if (isEnough(released, waiter.offset, waiter.reader)) waiter.settle(released)
    }
  }

  /** Ends the flight for all readers, with the same failure. */
  fail(failure: Failure): void {
    this.#failure = failure
    this.#awaitedHead.reject(failure)
    for (const waiter of this.#waiters) waiter.settle(failure)
  }

  /** Makes all bytes void. A reader that may have some of them is dismissed; one that waits for the first may stay. */
  startOver(failure: Failure): void {
    if (this.#knownHead !== undefined) this.#awaitedHead = newAwaitedHead()
    this.#knownHead = undefined
    this.dismissBeyond(0, failure)
  }

  /** Makes the bytes from `position` on void. A reader that may have some of them is dismissed. */
  dismissBeyond(position: number, failure: Failure): void {
    for (const reader of this.#readers) {
      if (reader.releasedBytes > position) this.#dismiss(reader, failure)
    }
  }

  /**
   * Dismisses readers at `offset` at most that could read on, and have not moved for `ms` since `since` at the earliest.
   */
  dismissIdle(offset: number, ms: number, since: number): void {
    const waiting = new Set<Reader>()
    for (const { reader } of this.#waiters) waiting.add(reader)
    const released = this.#bytes.releasedBytes()
    for (const reader of this.#readers) {
      if (reader.dismissed !== undefined || waiting.has(reader)) continue
      if (reader.offset > offset || reader.offset >= released) continue
      if (Date.now() - Math.max(reader.movedAt, since) >= ms) this.#dismiss(reader, idleReaderFailure(ms))
    }
  }

  #releasedTo({ isForParts }: Reader, offset: number): number {
    const released = this.#bytes.releasedBytes()
    return released > offset || !isForParts ? released : Math.max(released, this.#bytes.releasedAhead(offset))
  }

  #wait(reader: Reader, offset: number, signal: AbortSignal): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        reader,
        settle: (outcome) => {
          this.#waiters.delete(waiter)
          stop()
          if (outcome instanceof Failure) return reject(outcome)
          reader.releasedBytes = Math.max(reader.releasedBytes, outcome)
          reader.movedAt = Date.now()
          resolve(outcome)
        },
      }
      this.#waiters.add(waiter)
      const stop = onAbort(signal, () => waiter.settle(readerLeftFailure()))
    })
  }

  #dismiss(reader: Reader, failure: Failure): void {
    reader.dismissed = failure
    this.#settleWaiters(reader, failure)
    this.#bytes.onMove()
  }

  #settleWaiters(reader: Reader, failure: Failure): void {
    for (const waiter of this.#waiters) if (waiter.reader === reader) waiter.settle(failure)
  }
}

function isEnough(released: number, offset: number, { size }: Reader): boolean {
  return released > offset || (size !== undefined && released >= size)
}

function newAwaitedHead(): Deferred<KnownHead> {
  const head = new Deferred<KnownHead>()
  // All readers may have left by the time it fails.
  head.promise.catch(() => {})
  return head
}
