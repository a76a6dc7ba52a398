import type { TestContext } from 'node:test'

/**
 * Time as timers and `Date` tell it, which stands still but for what a test lets pass of it. It passes a little with each
 * turn of the event loop, so that whatever moves has moved before a deadline comes, on a machine of any speed.
 */
export class Clock {
  readonly #timers: TestContext['mock']['timers']
  readonly #turn: () => Promise<void>

  /** `turnMs`: for what sockets and threads have a part in, a turn is to take so long. */
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

  /** What the promise comes to. Time passes until then. */
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
