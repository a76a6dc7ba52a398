import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { afterwards } from '../afterwards.ts'
import { within } from '../deadline.ts'
import type { AttackTarget, Report } from './attack.ts'
import type { AttackNews, AttackOrder } from './attacker-program.ts'

const PROGRAM = fileURLToPath(new URL('./attacker-program.js', import.meta.url))
const READY_MS = 60_000
const END_MS = 60_000

/** A process that makes one attack. Ended with the test. */
export class Attacker {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  readonly #over: Promise<Report>

  static async start(t: TestContext): Promise<Attacker> {
    const attacker = new Attacker()
    afterwards(t, () => attacker.kill())
    await within(READY_MS, 'the start of an attacker', attacker.#hear('ready'))
    return attacker
  }

  private constructor() {
    this.#child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
    this.#exit = once(this.#child, 'exit')
    this.#over = Promise.race([
      this.#hear('over').then((news) => (news.is === 'over' ? news.report : {})),
      this.#exit.then(() => ({})),
    ])
  }

  /** Resolves when the attack is in place, has ended, or is held up for so long that it will not be. */
  async attack(
    name: string,
    target: AttackTarget,
    options: { holdMs: number; inPlaceMs: number },
  ): Promise<void> {
    const begun = Promise.race([this.#hear('in place'), this.#over])
    const order: AttackOrder = { name, target, holdMs: options.holdMs }
    this.#child.send(order)
    await within(options.inPlaceMs, 'the attack', begun).catch(() => {})
  }

  /** What it has done, when it has ended by itself or was told to. */
  get over(): Promise<Report> {
    return this.#over
  }

  /** Ends the attack, and with it the process: all connections that it still had are closed by the kernel. */
  async leave(): Promise<Report> {
    if (this.#child.connected) this.#child.send('end')
    try {
      return await within(END_MS, 'the end of the attack', this.#over)
    } finally {
      await this.kill()
    }
  }

  /** Ends the process at once, so that nothing of it is waited for: it runs only when nobody else wants to. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  #hear(is: AttackNews['is']): Promise<AttackNews> {
    return new Promise((resolve) => {
      const listener = (news: AttackNews): void => {
        if (news.is !== is) return
        this.#child.off('message', listener)
        resolve(news)
      }
      this.#child.on('message', listener)
    })
  }
}
