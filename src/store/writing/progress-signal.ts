import { Deferred } from '../../lib/async/deferred.ts'
import { Failure } from '../../ports/failure.ts'

/**
 * Reports progress and failure of one incoming to its source and its listener. It lives as long as the incoming. The
 * listener is always called in a microtask, because the code that fills the buffer may also be the listener.
 */
export class ProgressSignal {
  #failure: Failure | undefined
  #listener: ((failure: Error | undefined) => void) | undefined
  #drained: Deferred<void> | undefined
  #isClosing = false

  /** Why the content cannot be received any more. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  /** The incoming is being closed: it takes no more bytes. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  /** The incoming takes bytes: it has not failed and is not being closed. */
  get isOpen(): boolean {
    return this.#failure === undefined && !this.#isClosing
  }

  listen(listener: (failure: Error | undefined) => void): void {
    this.#listener = listener
    const failure = this.#failure
    if (failure !== undefined) queueMicrotask(() => listener(failure))
  }

  notify(): void {
    queueMicrotask(() => this.#listener?.(undefined))
  }

  /** Only the first failure counts. */
  fail(failure: Failure): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.#drained?.reject(failure)
    this.#drained = undefined
    queueMicrotask(() => this.#listener?.(failure))
  }

  /** Resolves at the next `drain`; rejects after a failure, and when the incoming is closed. */
  waitForDrain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#drained = new Deferred()
      // The source may have stopped waiting by then.
      this.#drained.promise.catch(() => {})
    }
    return this.#drained.promise
  }

  /** The source may continue. */
  drain(): void {
    this.#drained?.resolve()
    this.#drained = undefined
  }

  beginClosing(): void {
    this.#isClosing = true
  }

  /** Ends the waiting of the source, as the last step of closing. */
  close(): void {
    this.#drained?.reject(new Failure('stopping', 'the incoming content was closed'))
    this.#drained = undefined
  }
}
