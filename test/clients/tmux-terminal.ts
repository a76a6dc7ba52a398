import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../../testkit/programs.ts'
import { MAIN } from '../cli/agent-process.ts'

const DEADLINE_MS = 120_000
export const PROMPT = 'node$'

/** A terminal with a shell that has the command `agent`, and no environment of the test process. */
export class Terminal {
  readonly #tmux: readonly [string, ...string[]]

  /** `tmux` is the path of the program. The terminal is closed when the test ends. */
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

  /** Types a line and presses Enter. */
  async type(line: string): Promise<void> {
    await this.#run('send-keys', '-l', '--', line)
    await this.press('Enter')
  }

  /** Presses a key, which is named as in tmux, such as `C-c`. */
  async press(key: string): Promise<void> {
    await this.#run('send-keys', key)
  }

  /** Clears the screen, until only a prompt is left. */
  async clear(): Promise<void> {
    await this.type('clear')
    await this.until((lines) => lines.length === 1 && lines[0] === PROMPT)
  }

  /** The lines on the screen, without empty lines at the end. A line that takes several rows is one line. */
  async lines(): Promise<readonly string[]> {
    return await this.#captured()
  }

  /** The lines on the screen, after those that have scrolled off it. */
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

  /** Resolves with the first screen for which `holds` is true. */
  async until(holds: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    for (const deadline = Date.now() + DEADLINE_MS; ; await delay(20)) {
      const lines = await this.lines()
      if (holds(lines)) return lines
      if (Date.now() > deadline) throw new Error(`the screen never was as expected:\n${lines.join('\n')}`)
    }
  }

  /** Resolves with the screen when the command has ended and the prompt is shown again. */
  async done(): Promise<readonly string[]> {
    return await this.until((lines) => lines.length > 1 && lines.at(-1) === PROMPT)
  }

  async #run(...args: readonly string[]): Promise<string> {
    const [program, ...options] = this.#tmux
    return (await run(program, [...options, ...args], { env: { TMUX: undefined } })).stdout
  }
}
