import type { TestContext } from 'node:test'

type Api = 'setTimeout' | 'setInterval' | 'Date'

/**
 * Time as timers and `Date` tell it, which stands still but for what a test lets pass of it. It passes a little with each
 * turn of the event loop, so that whatever moves has moved before a deadline comes, on a machine of any speed.
 */
export class Clock {
  readonly #timers: TestContext['mock']['timers']
  readonly #turn: () => Promise<void>

  /** Without `setTimeout` among `apis`, a turn takes a millisecond: for what sockets and threads have a part in. */
  constructor(t: TestContext, apis: Api[] = ['setTimeout', 'setInterval', 'Date']) {
    this.#timers = t.mock.timers
    this.#turn = apis.includes('setTimeout')
      ? () => new Promise((resolve) => setImmediate(resolve))
      : () => new Promise((resolve) => setTimeout(resolve, 1))
    this.#timers.enable({ apis, now: Date.now() })
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
