type CleanupStep = (options: { readonly drainMs: number }) => unknown

/** Collects the cleanup of each step of a start, and runs the cleanups in reverse order. */
export class CleanupStack {
  readonly #steps: CleanupStep[] = []
  #hasRun = false

  /** Throws if the cleanup has begun, so that the start goes no further. The step is then part of the next `run`. */
  add(step: CleanupStep): void {
    this.#steps.push(step)
    if (this.#hasRun) throw new StoppedWhileStarting()
  }

  /** Runs each step once. A step that fails does not keep the others from running; the failures are thrown at the end. */
  async run(options: { readonly drainMs: number }): Promise<void> {
    this.#hasRun = true
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step(options)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'The agent did not stop cleanly.')
  }
}

export class StoppedWhileStarting extends Error {
  constructor() {
    super('the agent was stopped before it had started')
  }
}
