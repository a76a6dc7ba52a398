/**
 * Runs `work` once at a time for each key: callers with the same key meanwhile share its promise. No caller can abort
 * the work.
 */
export class SharedWork<T> {
  readonly #running = new Map<string, Promise<T>>()

  get size(): number {
    return this.#running.size
  }

  has(key: string): boolean {
    return this.#running.has(key)
  }

  run(key: string, work: () => Promise<T>): { readonly promise: Promise<T>; readonly joined: boolean } {
    const running = this.#running.get(key)
    if (running !== undefined) return { promise: running, joined: true }
    const promise = work().finally(() => this.#running.delete(key))
    // All callers may have stopped waiting when the work fails.
    promise.catch(() => {})
    this.#running.set(key, promise)
    return { promise, joined: false }
  }
}
