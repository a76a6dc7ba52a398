import type { Terminal } from '../context/command.ts'

/** Too few to spend one on what is not shown. */
const FEW_ROWS = 2

/** What the lines may take up. */
export interface Room {
  readonly columns: number
  readonly rows: number
}

/** Lines at the foot of a terminal that change while others are written above them. */
export class Bars {
  readonly #terminal: Terminal
  #drawn = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** What there is no room for is left out: it would go where it cannot be cleared any more. */
  async draw(drawn: (room: Room) => readonly string[]): Promise<void> {
    // The cursor stands below the last line.
    const room = {
      columns: Math.max(0, this.#terminal.columns - 1),
      rows: Math.max(0, this.#terminal.rows - 1),
    }
    const lines = drawn(room).slice(0, room.rows)
    const text = lines.map((line) => `${line.slice(0, room.columns)}\n`).join('')
    const cleared = this.#cleared()
    this.#drawn = lines.length
    await this.#terminal.out(`${cleared}${text}`)
  }

  /** Before anything else is written. */
  async clear(): Promise<void> {
    const text = this.#cleared()
    this.#drawn = 0
    if (text !== '') await this.#terminal.out(text)
  }

  /** The first line apart from the others: some terminals remember what is cleared from their top to their end at once. */
  #cleared(): string {
    if (this.#drawn === 0) return ''
    const toSecond = this.#drawn === 1 ? '' : `\u001b[${this.#drawn - 1}A`
    return `\r${toSecond}\u001b[J\u001b[A\u001b[K`
  }
}

/** As many as there are rows for, the first before others; where that leaves some out, the last row says how many. */
export function fitting(
  lines: readonly string[],
  rows: number,
  left: (count: number) => string,
): readonly string[] {
  if (lines.length <= rows) return lines
  if (rows <= FEW_ROWS) return lines.slice(0, Math.max(0, rows))
  return [...lines.slice(0, rows - 1), left(lines.length - rows + 1)]
}
