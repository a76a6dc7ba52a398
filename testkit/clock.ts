import type { TestContext } from 'node:test'

/**
 * Simulated time for timers and `Date`, which a test advances. Time advances by one millisecond per turn of the event loop,
 * so that pending work is done before a deadline, on a machine of any speed.
 */
export class Clock {
  readonly #timers: TestContext['mock']['timers']
  readonly #turn: () => Promise<void>

  /** `turnMs` is the real time of a turn, which work of sockets and threads needs. */
  constructor(t: TestContext, { turnMs = 0 } = {}) {
    const { setTimeout: later } = globalThis
    this.#turn = () =>
      new Promise((resolve) => {
        if (turnMs === 0) setImmediate(resolve)
        else later(resolve, turnMs)
      })
    this.#timers = t.mock.timers
    this.#timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() })
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1) {
      await this.#turn()
      this.#timers.tick(1)
    }
    await this.#turn()
  }

  /** Advances time until the promise settles, and returns it. */
  async until<Result>(promise: Promise<Result>): Promise<Result> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    promise.then(over, over)
    while (!isOver) await this.pass(1)
    return promise
  }
}
