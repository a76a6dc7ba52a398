import { onAbort } from '../../../lib/async/abort.ts'
import type { ReceivedMessage } from './message-lines.ts'

/** A peer that sends more messages than are received must wait. */
const MAX_QUEUED_MESSAGES = 64
/** Bounds what the queued messages may have come to before the last one, which may have `MAX_MESSAGE_BYTES`. */
const MAX_QUEUED_BYTES = 64 * 1024

interface PendingReceive {
  readonly resolve: (message: unknown) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The messages of an exchange that have arrived and were not received yet, or the one caller that waits for the next
 * message. Messages that came before the end or a failure are still given.
 */
export class MessageQueue {
  readonly #messages: ReceivedMessage[] = []
  #bytes = 0
  #pending: PendingReceive | undefined
  #end: { readonly failure: unknown } | undefined

  get isFull(): boolean {
    return this.#messages.length >= MAX_QUEUED_MESSAGES || this.#bytes >= MAX_QUEUED_BYTES
  }

  add(message: ReceivedMessage): void {
    if (this.#end !== undefined) return
    if (this.#pending !== undefined) {
      this.#pending.resolve(message.message)
      return
    }
    this.#messages.push(message)
    this.#bytes += message.length
  }

  /**
   * Gives the next message, for one caller at a time; undefined after the last one. Rejects with `lateFailure()` after
   * `ms`, and may be called again then.
   */
  async next({
    signal,
    ms,
    lateFailure,
  }: {
    signal: AbortSignal
    ms: number
    lateFailure: () => Error
  }): Promise<unknown> {
    signal.throwIfAborted()
    const oldest = this.#messages.shift()
    if (oldest !== undefined) {
      this.#bytes -= oldest.length
      return oldest.message
    }
    if (this.#end?.failure !== undefined) throw this.#end.failure
    return this.#end === undefined ? this.#wait(signal, ms, lateFailure) : undefined
  }

  /** No message follows. */
  end(): void {
    this.#end ??= { failure: undefined }
    this.#pending?.resolve(undefined)
  }

  /** No message follows, because the peer or the connection has failed. */
  fail(failure: unknown): void {
    this.#end ??= { failure }
    this.#pending?.reject(failure)
  }

  #wait(signal: AbortSignal, ms: number, lateFailure: () => Error): Promise<unknown> {
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
}
