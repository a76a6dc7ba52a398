import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../../testkit/programs.ts'
import { MAIN } from '../cli/agent-process.ts'

const DEADLINE_MS = 120_000
export const PROMPT = 'node$'

/** A person's terminal: a shell in it that knows the command `agent`, and nothing of whoever runs the tests. */
export class Terminal {
  readonly #tmux: readonly [string, ...string[]]

  /** `tmux` is the program's path. It is gone when the test ends. */
  static async open(
    t: TestContext,
    tmux: string,
    { columns, rows }: { columns: number; rows: number },
  ): Promise<Terminal> {
    // Short, because the path of a Unix socket has at most 107 bytes.
    const folder = await mkdtemp(join(tmpdir(), 'leat-'))
    const command = `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`
    await writeFile(join(folder, 'agent'), command, { mode: 0o755 })
    const terminal = new Terminal([tmux, '-u', '-f', '/dev/null', '-S', join(folder, 'socket')])
    const path = `${folder}${delimiter}${process.env['PATH']}`
    const shell = ['env', '-i', `PATH=${path}`, 'TERM=screen', 'LC_ALL=C.UTF-8', `PS1=${PROMPT} `, 'sh']
    t.after(async () => {
      await terminal.#run('kill-server').finally(() => rm(folder, { recursive: true }))
    })
    await terminal.#run('new-session', '-d', '-x', String(columns), '-y', String(rows), '--', ...shell)
    await terminal.until((lines) => lines[0] === PROMPT)
    return terminal
  }

  private constructor(tmux: readonly [string, ...string[]]) {
    this.#tmux = tmux
  }

  /** A line, as if it were typed. */
  async type(line: string): Promise<void> {
    await this.#run('send-keys', '-l', '--', line)
    await this.press('Enter')
  }

  /** A key by tmux's name for it, e.g. `C-c`. */
  async press(key: string): Promise<void> {
    await this.#run('send-keys', key)
  }

  /** An empty screen with a prompt. */
  async clear(): Promise<void> {
    await this.type('clear')
    await this.until((lines) => lines.length === 1 && lines[0] === PROMPT)
  }

  /** What is to be seen now, without the empty lines below it. What takes more than one row is one line. */
  async lines(): Promise<readonly string[]> {
    return await this.#captured()
  }

  /** The same, and before it what has left the screen at the top. */
  async history(): Promise<readonly string[]> {
    return await this.#captured('-S', '-')
  }

  async #captured(...options: readonly string[]): Promise<readonly string[]> {
    const screen = await this.#run('capture-pane', '-p', '-J', ...options)
    return screen
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd())
  }

  /** The first screen of which that holds. */
  async until(holds: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    for (const deadline = Date.now() + DEADLINE_MS; ; await delay(20)) {
      const lines = await this.lines()
      if (holds(lines)) return lines
      if (Date.now() > deadline) throw new Error(`it never came to that; the screen is\n${lines.join('\n')}`)
    }
  }

  /** The screen once the command is done and the next one can be typed, below what was typed before. */
  async done(): Promise<readonly string[]> {
    return await this.until((lines) => lines.length > 1 && lines.at(-1) === PROMPT)
  }

  async #run(...args: readonly string[]): Promise<string> {
    const [program, ...options] = this.#tmux
    return (await run(program, [...options, ...args], { env: { TMUX: undefined } })).stdout
  }
}
