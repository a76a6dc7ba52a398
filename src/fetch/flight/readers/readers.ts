import { onAbort, unlessAborted } from '../../../lib/async/abort.ts'
import { Deferred } from '../../../lib/async/deferred.ts'
import { Failure } from '../../../ports/failure.ts'

export interface KnownHead {
  readonly size: number
  readonly mediaType: string | undefined
}

/** One who reads a flight. What was promised and given decides whether the reader survives a new beginning. */
export interface Reader {
  /** The size that was promised; undefined while the head is awaited. */
  size: number | undefined
  /** So many bytes from the start were released to this reader. */
  taken: number
  /** It is past everything before that; bytes from there on must not go. */
  offset: number
  /** When it last got on, or was given something to get on with. */
  movedAt: number
  /** Why this reader gets nothing more, although others may. */
  dismissed: Failure | undefined
}

interface Waiter {
  readonly offset: number
  readonly reader: Reader
  readonly settle: (outcome: number | Failure) => void
}

/** What the flight tells those who follow it, and wants to know of them. */
export interface ReadersContext {
  /** How many bytes may be read at the moment. */
  releasedBytes(): number
  /** The first byte that can still be read. */
  readableFrom(): number
  /** Somebody has got on, has left or was dismissed. */
  onMove(): void
}

/** Everyone who follows one flight: who waits for its head, who for more bytes, who is still reading. */
export class Readers {
  readonly #stage: ReadersContext
  readonly #readers = new Set<Reader>()
  readonly #waiters = new Set<Waiter>()
  #told: KnownHead | undefined
  #failure: Failure | undefined
  #head: Deferred<KnownHead>
  #joined = 0

  constructor(stage: ReadersContext) {
    this.#stage = stage
    this.#head = awaitedHead()
  }

  get count(): number {
    return this.#readers.size
  }

  /** Those who have not been dismissed. */
  get activeCount(): number {
    let count = 0
    for (const reader of this.#readers) if (reader.dismissed === undefined) count += 1
    return count
  }

  /** How far the one is that is furthest behind; undefined when nobody reads. */
  get slowestOffset(): number | undefined {
    let slowest: number | undefined
    for (const { offset, dismissed } of this.#readers) {
      if (dismissed === undefined && offset < (slowest ?? Number.POSITIVE_INFINITY)) slowest = offset
    }
    return slowest
  }

  /** Everyone who ever came. */
  get joinedCount(): number {
    return this.#joined
  }

  get knownHead(): KnownHead | undefined {
    return this.#told
  }

  join(): Reader {
    const reader: Reader = {
      size: undefined,
      taken: 0,
      offset: 0,
      movedAt: Date.now(),
      dismissed: undefined,
    }
    this.#readers.add(reader)
    this.#joined += 1
    return reader
  }

  /** Size and type, as soon as they are known: a promise to this reader from then on. */
  async head(reader: Reader, options: { signal: AbortSignal }): Promise<KnownHead> {
    for (;;) {
      const told = await unlessAborted(this.#head.promise, options.signal)
      // Otherwise it was begun anew in between.
      if (told === this.#told) {
        reader.size = told.size
        return told
      }
    }
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    for (const waiter of this.#waiters) {
      if (waiter.reader === reader) waiter.settle(new Failure('stopping', 'The reader has left.'))
    }
    this.#stage.onMove()
  }

  /** Sends away who is at `offset` at most, has more to read, and has not got on for `ms`, or since `since` if that is later. */
  dismissIdle(offset: number, ms: number, since: number): void {
    const busy = new Set<Reader>()
    for (const { reader } of this.#waiters) busy.add(reader)
    const released = this.#stage.releasedBytes()
    for (const reader of this.#readers) {
      if (reader.dismissed !== undefined || busy.has(reader)) continue
      if (reader.offset > offset || reader.offset >= released) continue
      if (Date.now() - Math.max(reader.movedAt, since) >= ms) this.#dismiss(reader, idle(ms))
    }
  }

  announceHead(told: KnownHead): void {
    if (this.#told !== undefined) return
    this.#told = told
    this.#head.resolve(told)
    // Readers of a content that was begun anew: the promise made to them must still hold.
    for (const reader of this.#readers) {
      const { size } = reader
      if (size !== undefined && size !== told.size) this.#dismiss(reader, contradicted(size, told.size))
    }
  }

  readable(reader: Reader, offset: number, signal: AbortSignal): number | Promise<number> {
    if (reader.dismissed !== undefined) return Promise.reject(reader.dismissed)
    if (offset < this.#stage.readableFrom()) {
      const failure = gone(offset)
      this.#dismiss(reader, failure)
      return Promise.reject(failure)
    }
    if (offset !== reader.offset) {
      reader.offset = offset
      reader.movedAt = Date.now()
      this.#stage.onMove()
    }
    const now = this.#stage.releasedBytes()
    if (this.#enough(now, offset, reader)) {
      reader.taken = Math.max(reader.taken, now)
      return now
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (signal.aborted) return Promise.reject(left())
    return new Promise<number>((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        reader,
        settle: (outcome) => {
          this.#waiters.delete(waiter)
          stop()
          if (outcome instanceof Failure) return reject(outcome)
          reader.taken = Math.max(reader.taken, outcome)
          reader.movedAt = Date.now()
          resolve(outcome)
        },
      }
      this.#waiters.add(waiter)
      const stop = onAbort(signal, () => waiter.settle(left()))
    })
  }

  /** More has been released. */
  wake(): void {
    const now = this.#stage.releasedBytes()
    for (const waiter of this.#waiters) {
      if (this.#enough(now, waiter.offset, waiter.reader)) waiter.settle(now)
    }
  }

  /** The end for everyone, and the same for everyone. */
  fail(failure: Failure): void {
    this.#failure = failure
    this.#head.reject(failure)
    for (const waiter of this.#waiters) waiter.settle(failure)
  }

  /** The bytes so far are void. Whoever has some of them is dismissed; whoever waits for the first may stay. */
  startOver(failure: Failure): void {
    if (this.#told !== undefined) this.#head = awaitedHead()
    this.#told = undefined
    this.dismissBeyond(0, failure)
  }

  /** The bytes from `position` on are void. Whoever may have some of them is dismissed. */
  dismissBeyond(position: number, failure: Failure): void {
    for (const reader of this.#readers) if (reader.taken > position) this.#dismiss(reader, failure)
  }

  #enough(now: number, offset: number, reader: Reader): boolean {
    return now > offset || (reader.size !== undefined && now >= reader.size)
  }

  #dismiss(reader: Reader, failure: Failure): void {
    reader.dismissed = failure
    for (const waiter of this.#waiters) if (waiter.reader === reader) waiter.settle(failure)
    this.#stage.onMove()
  }
}

/** 503: the runtime asks the registry itself. */
function gone(offset: number): Failure {
  const message = `This is passed on without being kept, and byte ${offset} has been passed on already.`
  return new Failure('busy', message)
}

function left(): Failure {
  return new Failure('stopping', 'The reader has left.')
}

function idle(ms: number): Failure {
  const message = `The reader has taken nothing for ${ms / 1000} s, and what it is to read cannot be kept for it.`
  return new Failure('stalled', message)
}

function contradicted(expected: number, found: number): Failure {
  const message = `The content has ${found} bytes, not the ${expected} that a source first said it had.`
  return new Failure('corrupt', message, { expected, found })
}

function awaitedHead(): Deferred<KnownHead> {
  const head = new Deferred<KnownHead>()
  // Nobody may wait for it by the time it fails.
  head.promise.catch(() => {})
  return head
}
