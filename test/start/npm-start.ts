import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { answers } from '../../testkit/daemon.ts'

/** `npm start` in a checkout, as in a terminal: Ctrl-C goes to npm, to its shell and to the agent. */
export class NpmStart {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>
  #output = ''

  constructor(npm: string, cwd: string, env: Record<string, string | undefined>) {
    // Detached: a process group of its own, which is what a terminal sends Ctrl-C to.
    this.#child = spawn(npm, ['start'], { cwd, env: { ...process.env, ...env }, detached: true })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
    this.#exit = new Promise((resolve) => this.#child.once('close', resolve))
  }

  get output(): string {
    return this.#output
  }

  async serves(url: string): Promise<void> {
    const deadline = Date.now() + 120_000
    while (!(await answers(url).catch(() => false))) {
      assert.equal(this.#child.exitCode, null, `npm start ended early:\n${this.#output}`)
      assert.ok(Date.now() < deadline, `npm start serves nothing:\n${this.#output}`)
      await delay(50)
    }
  }

  pressCtrlC(): void {
    this.#signal('SIGINT')
  }

  exited(): Promise<number | null> {
    return this.#exit
  }

  /** Kills the whole process group. */
  kill(): void {
    try {
      this.#signal('SIGKILL')
    } catch {
      // The process group has ended already.
    }
  }

  #signal(signal: NodeJS.Signals): void {
    assert.ok(this.#child.pid)
    process.kill(-this.#child.pid, signal)
  }
}
