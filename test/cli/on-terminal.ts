import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MAIN } from './cli.ts'

/** The command line on a terminal of 100 columns. What it runs on is hung up when the test ends. */
export class OnTerminal {
  readonly #child: ChildProcess
  readonly #closed: Promise<number | null>
  #out = ''

  /** `script` is the path of the program that makes a terminal. */
  constructor(t: TestContext, script: string, args: readonly string[]) {
    const line = [process.execPath, MAIN, ...args].join(' ')
    const child = spawn(script, ['-qec', `stty cols 100; ${line}`, '/dev/null'], {
      env: { PATH: process.env['PATH'], TERM: 'xterm' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text
    })
    this.#child = child
    this.#closed = once(child, 'close').then(([code]) => code)
    t.after(() => child.kill('SIGKILL'))
  }

  /** All that it was sent so far. */
  get out(): string {
    return this.#out
  }

  /** When that holds of what it was sent. */
  async until(holds: (out: string) => boolean): Promise<void> {
    for (; !holds(this.#out); await delay(10)) {
      const { exitCode, signalCode } = this.#child
      assert.ok(exitCode === null && signalCode === null, `it never came to that:\n${this.#out}`)
    }
  }

  /** The exit code of the command, once all that it has written is in `out`. */
  ended(): Promise<number | null> {
    return this.#closed
  }
}
