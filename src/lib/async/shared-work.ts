/** One run of `work` at a time for a key; whoever asks meanwhile shares it. The work outlives any one of them. */
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
    // Everyone who waits may have left by the time it fails.
    promise.catch(() => {})
    this.#running.set(key, promise)
    return { promise, joined: false }
  }
}
