import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addCleanup } from '../cleanup.ts'
import { within } from '../deadline.ts'
import type { AttackReport, AttackTarget } from './attack.ts'
import type { AttackerMessage, AttackRequest } from './attacker-program.ts'

const PROGRAM = fileURLToPath(new URL('./attacker-program.js', import.meta.url))
const READY_MS = 60_000
const END_MS = 60_000

/** A process that runs one attack; it is killed at the end of the test. */
export class Attacker {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  readonly #ended: Promise<AttackReport>

  static async start(t: TestContext): Promise<Attacker> {
    const attacker = new Attacker()
    addCleanup(t, () => attacker.kill())
    await within(READY_MS, 'the start of an attacker', attacker.#receive('ready'))
    return attacker
  }

  private constructor() {
    this.#child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
    this.#exit = once(this.#child, 'exit')
    this.#ended = Promise.race([
      this.#receive('ended').then((message) => (message.is === 'ended' ? message.report : {})),
      this.#exit.then(() => ({})),
    ])
  }

  /** Resolves when the attack is established or has ended, and at the latest after `establishMs`. */
  async attack(
    name: string,
    target: AttackTarget,
    options: { holdMs: number; establishMs: number },
  ): Promise<void> {
    const established = Promise.race([this.#receive('established'), this.#ended])
    const request: AttackRequest = { name, target, holdMs: options.holdMs }
    this.#child.send(request)
    await within(options.establishMs, 'the attack', established).catch(() => {})
  }

  /** The report of the attack, once it has ended. */
  get ended(): Promise<AttackReport> {
    return this.#ended
  }

  /** Ends the attack and its process; the kernel closes the connections that are still open. */
  async end(): Promise<AttackReport> {
    if (this.#child.connected) this.#child.send('end')
    try {
      return await within(END_MS, 'the end of the attack', this.#ended)
    } finally {
      await this.kill()
    }
  }

  /** Kills the process. It runs at the lowest priority, so waiting for a regular end could take long. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  #receive(kind: AttackerMessage['is']): Promise<AttackerMessage> {
    return new Promise((resolve) => {
      const listener = (message: AttackerMessage): void => {
        if (message.is !== kind) return
        this.#child.off('message', listener)
        resolve(message)
      }
      this.#child.on('message', listener)
    })
  }
}
