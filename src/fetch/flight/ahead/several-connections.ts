import { Failure } from '../../../ports/failure.ts'
import type { Source } from '../../../ports/source.ts'
import { type AheadWindow, aheadWindow } from './ahead-window.ts'
import { ConnectionCount } from './connection-count.ts'
import type { InOrderRequests } from './in-order-requests.ts'

/** A smaller blob comes over one connection. */
const LEAST_BLOB_BYTES = 64 * 1024 * 1024
/** When less is missing, it is too late for other connections. */
const LEAST_MISSING_BYTES = 16 * 1024 * 1024
/** A source that was asked too often is waited for up to this time. */
const LONGEST_PAUSE_MS = 30_000

/** How far a blob has come. */
export interface Progress {
  /** undefined: nobody has said it. */
  readonly size: number | undefined
  readonly position: number
}

/** Whether, and over how many connections, the blob of one flight comes ahead of its turn. */
export class SeveralConnections {
  readonly #inOrder: InOrderRequests
  #connections = new ConnectionCount()
  /** Bytes may be ahead, so that none is asked for by an open-ended request. */
  #areUsed = false
  #areOver = false
  /** The source has said that there are too many requests, and was not waited for yet. */
  #wereTooMany = false

  constructor(inOrder: InOrderRequests) {
    this.#inOrder = inOrder
  }

  /** An attempt of this source begins. */
  begin({ connectionsPerBlob }: Source): void {
    this.#connections = new ConnectionCount(this.#areOver ? undefined : connectionsPerBlob)
    this.#areUsed ||= this.#connections.count > 1
    this.#wereTooMany = false
  }

  /** Whether there may be several connections, or were. */
  get arePossible(): boolean {
    return this.#areUsed || this.#connections.mayBeSeveral
  }

  /** Whether bytes come by ranges for them, or did. They do before the size is known, because the first request limits itself then. */
  areUsedFor(size: number | undefined): boolean {
    return this.#areUsed && (size === undefined || size >= LEAST_BLOB_BYTES)
  }

  /** Says that bytes have come. Gives whether the window is another one now. */
  came(bytes: number, { size, position }: Progress): boolean {
    if (size === undefined || size < LEAST_BLOB_BYTES) return false
    if (!this.#areUsed && size - position < LEAST_MISSING_BYTES) return false
    if (!this.#connections.came(bytes, performance.now())) return false
    if (this.#connections.count === 1 || this.#areUsed) return true
    this.#areUsed = true
    this.#inOrder.endOpenRequest()
    return true
  }

  /** What is wanted ahead; undefined when nothing is. */
  window({ size, position }: Progress): AheadWindow | undefined {
    const { count } = this.#connections
    if (size === undefined || size < LEAST_BLOB_BYTES || count === 1) return undefined
    const requests = this.#inOrder.end > position ? count - 1 : count
    return { ...aheadWindow(position, size, count), mostRequests: requests }
  }

  /** The source wants fewer requests. */
  end(): void {
    this.#connections.useOne()
    this.#wereTooMany = true
  }

  /** From now on there is one connection. Gives whether there were several. */
  endForGood(): boolean {
    const wereUsed = this.#areUsed
    this.#areUsed = false
    this.#areOver = true
    return wereUsed
  }

  /** How long to wait after a failure that too many requests have caused; undefined: they have not. */
  pauseAfter(error: unknown): number | undefined {
    if (!this.#wereTooMany || !(error instanceof Failure) || error.code !== 'busy') return undefined
    this.#wereTooMany = false
    const { retryAfterMs } = error.details
    return retryAfterMs !== undefined && retryAfterMs <= LONGEST_PAUSE_MS ? retryAfterMs : undefined
  }
}
