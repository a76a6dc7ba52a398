import type { Terminal } from '../context/command.ts'

/** How often a line is printed when stderr is not a terminal, such as in the log of a CI job. */
const LOG_INTERVAL_MS = 10_000
const CLEAR_LINE = '\r\u001b[K'

/** The progress of a long operation: a line that is redrawn on a terminal, a line every 10 s elsewhere. */
export class Progress {
  readonly #terminal: Terminal
  readonly #isSilent: boolean
  readonly #now: () => number
  #isShown = false
  #printedAt: number

  constructor(terminal: Terminal, { isSilent }: { isSilent: boolean }) {
    this.#terminal = terminal
    this.#isSilent = isSilent
    this.#now = () => terminal.now?.() ?? performance.now()
    this.#printedAt = this.#now()
  }

  async show(text: string): Promise<void> {
    if (this.#isSilent) return
    if (this.#terminal.isInteractive) {
      this.#isShown = true
      // A line wider than the terminal would wrap, and clearing reaches only the last row of it.
      await this.#terminal.err(`${CLEAR_LINE}${text.slice(0, Math.max(0, this.#terminal.columns - 1))}`)
    } else {
      const now = this.#now()
      if (now - this.#printedAt < LOG_INTERVAL_MS) return
      this.#printedAt = now
      await this.#terminal.err(`${text}\n`)
    }
  }

  /** To be called before anything else is written. */
  async clear(): Promise<void> {
    if (this.#isShown) await this.#terminal.err(CLEAR_LINE)
    this.#isShown = false
  }
}
