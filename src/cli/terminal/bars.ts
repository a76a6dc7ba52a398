import type { Terminal } from '../context/command.ts'

/** With this few rows, none is spent on the number of hidden lines. */
const FEW_ROWS = 2

/** The part of the terminal that may be drawn on. */
export interface DrawArea {
  readonly columns: number
  readonly rows: number
}

/** Lines at the bottom of a terminal that are redrawn while other lines are written above. */
export class Bars {
  readonly #terminal: Terminal
  #drawnRows = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Lines beyond the area are left out: once scrolled away, they could not be cleared. */
  async draw(linesFor: (area: DrawArea) => readonly string[]): Promise<void> {
    // One row is left for the cursor, which stands below the last line.
    const area = {
      columns: Math.max(0, this.#terminal.columns - 1),
      rows: Math.max(0, this.#terminal.rows - 1),
    }
    const lines = linesFor(area).slice(0, area.rows)
    const text = lines.map((line) => `${line.slice(0, area.columns)}\n`).join('')
    const clearing = this.#clearSequence()
    this.#drawnRows = lines.length
    await this.#terminal.out(`${clearing}${text}`)
  }

  /** To be called before anything else is written. */
  async clear(): Promise<void> {
    const text = this.#clearSequence()
    this.#drawnRows = 0
    if (text !== '') await this.#terminal.out(text)
  }

  /**
   * Clears the first line separately from the others: some terminals save everything that is cleared from the top of the
   * screen to its end into the scrollback.
   */
  #clearSequence(): string {
    if (this.#drawnRows === 0) return ''
    const toSecond = this.#drawnRows === 1 ? '' : `\u001b[${this.#drawnRows - 1}A`
    return `\r${toSecond}\u001b[J\u001b[A\u001b[K`
  }
}

/** The first lines that fit into `rows`. If any are hidden, the last row says how many. */
export function fitRows(
  lines: readonly string[],
  rows: number,
  hiddenText: (count: number) => string,
): readonly string[] {
  if (lines.length <= rows) return lines
  if (rows <= FEW_ROWS) return lines.slice(0, Math.max(0, rows))
  return [...lines.slice(0, rows - 1), hiddenText(lines.length - rows + 1)]
}
