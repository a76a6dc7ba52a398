import type { Terminal } from '../context/command.ts'

/** How often a log is told. */
const PLAIN_MS = 10_000
const CLEAR_LINE = '\r\u001b[K'

/** How far something is that takes long: a line that changes on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #terminal: Terminal
  readonly #isSilent: boolean
  readonly #now: () => number
  #shown = false
  #toldAt: number

  constructor(terminal: Terminal, { isSilent }: { isSilent: boolean }) {
    this.#terminal = terminal
    this.#isSilent = isSilent
    this.#now = () => terminal.now?.() ?? performance.now()
    this.#toldAt = this.#now()
  }

  async show(text: string): Promise<void> {
    if (this.#isSilent) return
    if (this.#terminal.isInteractive) {
      this.#shown = true
      // A line that is wider than the terminal goes on in the next, and only that one would be cleared.
      await this.#terminal.err(`${CLEAR_LINE}${text.slice(0, Math.max(0, this.#terminal.columns - 1))}`)
    } else {
      const now = this.#now()
      if (now - this.#toldAt < PLAIN_MS) return
      this.#toldAt = now
      await this.#terminal.err(`${text}\n`)
    }
  }

  /** Before anything else is written. */
  async clear(): Promise<void> {
    if (this.#shown) await this.#terminal.err(CLEAR_LINE)
    this.#shown = false
  }
}
