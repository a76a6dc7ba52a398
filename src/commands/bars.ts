import type { Terminal } from './command.ts'

/** Lines at the foot of a terminal that change while others are written above them. */
export class Bars {
  readonly #terminal: Terminal
  #drawn = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  async draw(lines: readonly string[]): Promise<void> {
    const text = `${this.#cleared()}${lines.map((line) => `${line}\n`).join('')}`
    this.#drawn = lines.length
    await this.#terminal.out(text)
  }

  /** Before anything else is written. */
  async clear(): Promise<void> {
    const text = this.#cleared()
    this.#drawn = 0
    if (text !== '') await this.#terminal.out(text)
  }

  #cleared(): string {
    return this.#drawn === 0 ? '' : `\r\u001b[${this.#drawn}A\u001b[J`
  }
}
