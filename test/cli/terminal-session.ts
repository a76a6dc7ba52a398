import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MAIN } from './agent-process.ts'

/** A command on a terminal of 100 columns. The process is killed when the test ends. */
export class TerminalSession {
  readonly #child: ChildProcess
  readonly #closed: Promise<number | null>
  #out = ''

  /** `script` is the path of the program script(1), which creates the terminal. */
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

  /** The output so far. */
  get out(): string {
    return this.#out
  }

  /** Resolves when the output fulfils the condition. */
  async until(isFulfilled: (out: string) => boolean): Promise<void> {
    for (; !isFulfilled(this.#out); await delay(10)) {
      const { exitCode, signalCode } = this.#child
      assert.ok(
        exitCode === null && signalCode === null,
        `the command ended before the condition was fulfilled:\n${this.#out}`,
      )
    }
  }

  /** The exit code of the command, once all of its output is in `out`. */
  exitCode(): Promise<number | null> {
    return this.#closed
  }
}
