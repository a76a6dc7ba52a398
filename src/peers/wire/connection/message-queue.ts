import { onAbort } from '../../../lib/async/abort.ts'

/** A peer that sends more messages than are received must wait. */
const MAX_QUEUED_MESSAGES = 64
/** Bounds what the queued messages may have come to before the last one, which may have `MAX_MESSAGE_BYTES`. */
const MAX_QUEUED_BYTES = 64 * 1024

interface QueuedMessage {
  readonly message: unknown
  /** The size of the JSON text in bytes. */
  readonly length: number
}

interface PendingReceive {
  readonly resolve: (message: unknown) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The messages of a connection that have arrived and were not received yet, or the one caller that waits for the next
 * message.
 */
export class MessageQueue {
  readonly #messages: QueuedMessage[] = []
  #bytes = 0
  #pending: PendingReceive | undefined

  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  get isFull(): boolean {
    return this.#messages.length >= MAX_QUEUED_MESSAGES || this.#bytes >= MAX_QUEUED_BYTES
  }

  get isAwaited(): boolean {
    return this.#pending !== undefined
  }

  add(message: QueuedMessage): void {
    if (this.#pending !== undefined) {
      this.#pending.resolve(message.message)
      return
    }
    this.#messages.push(message)
    this.#bytes += message.length
  }

  /** Takes the oldest message out. */
  shift(): unknown {
    const oldest = this.#messages.shift()
    this.#bytes -= oldest?.length ?? 0
    return oldest?.message
  }

  /** Waits for the next message of an empty queue, for one caller at a time. Rejects with `lateFailure()` after `ms`. */
  next({
    signal,
    ms,
    lateFailure,
  }: {
    signal: AbortSignal
    ms: number
    lateFailure: () => Error
  }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#pending = undefined
        clearTimeout(timer)
        stop()
      }
      const fail = (reason: unknown): void => {
        settle()
        reject(reason)
      }
      const timer = setTimeout(() => fail(lateFailure()), ms)
      const stop = onAbort(signal, () => fail(signal.reason))
      this.#pending = {
        resolve: (message) => {
          settle()
          resolve(message)
        },
        reject: fail,
      }
    })
  }

  /** Tells a pending `next` that no message will come. */
  end(): void {
    this.#pending?.resolve(undefined)
  }

  fail(reason: unknown): void {
    this.#pending?.reject(reason)
  }

  clear(): void {
    this.#messages.length = 0
    this.#bytes = 0
  }
}
