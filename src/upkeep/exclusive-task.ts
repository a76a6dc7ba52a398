import { RequestError } from './request-error.ts'

/** Lets one task run at a time. */
export class ExclusiveTask {
  #running: { readonly name: string } | undefined

  /** Gives the lines of a task, the last of which is `done`. Throws a `RequestError` while another task is running. */
  async *run<Line extends { readonly is: string }>(
    name: string,
    start: () => AsyncIterable<Line>,
  ): AsyncGenerator<Line> {
    if (this.#running !== undefined) {
      throw new RequestError(
        'conflict',
        `${this.#running.name} is already running; try again when it has ended`,
      )
    }
    const own = { name }
    this.#running = own
    const end = (): void => {
      if (this.#running === own) this.#running = undefined
    }
    try {
      for await (const line of start()) {
        // A client that has read the last line may begin the next task at once.
        if (line.is === 'done') end()
        yield line
      }
    } finally {
      end()
    }
  }
}
