import { plain } from '../../observe/text.ts'
import type { WarmDone, WarmLine } from '../../schemas/warm-report.ts'
import type { Terminal } from '../context/command.ts'
import { Bars, type Room } from '../terminal/bars.ts'
import { Progress } from '../terminal/progress.ts'
import { barLines, doneText, imageText, totalText } from './text.ts'

export type WarmEvent = Exclude<WarmLine, { is: 'done' } | { is: 'failed' }>

/** How it is told that images become warm. */
interface Telling {
  line(line: WarmEvent): Promise<void>
  done(done: WarmDone): Promise<void>
  /** Also when it was not done. */
  end(): Promise<void>
}

/** In JSON. */
export class TellingPrograms implements Telling {
  readonly #terminal: Terminal

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  line(line: WarmLine): Promise<void> {
    return this.#terminal.out(`${JSON.stringify(line)}\n`)
  }

  done(done: WarmDone): Promise<void> {
    return this.line(done)
  }

  async end(): Promise<void> {}
}

/** A line for each image, and what is under way below them. */
export class TellingImages implements Telling {
  readonly #terminal: Terminal
  readonly #foot: Foot

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#foot = new Foot(terminal)
  }

  async line(line: WarmEvent): Promise<void> {
    if (line.is === 'progress') {
      await this.#foot.show(
        (room) => barLines(line, room),
        () => totalText(line),
      )
      return
    }
    if (line.is === 'node') return
    await this.#foot.clear()
    if (line.error === null) await this.#terminal.out(imageText(line, this.#terminal.isInteractive))
    else await this.#terminal.err(`agent: ${plain(line.error)}\n`)
  }

  async done(done: WarmDone): Promise<void> {
    await this.#foot.clear()
    // Of one image that could not be had there is nothing more to say.
    if (done.images > done.failed) await this.#terminal.out(doneText(done))
  }

  end(): Promise<void> {
    return this.#foot.clear()
  }
}

/** What is under way: bars on a terminal, a line now and then elsewhere. */
export class Foot {
  readonly #bars: Bars | undefined
  readonly #progress: Progress

  constructor(terminal: Terminal) {
    this.#bars = terminal.isInteractive ? new Bars(terminal) : undefined
    this.#progress = new Progress(terminal, { isSilent: false })
  }

  async show(lines: (room: Room) => readonly string[], text: () => string): Promise<void> {
    if (this.#bars === undefined) await this.#progress.show(text())
    else await this.#bars.draw(lines)
  }

  /** Before anything else is written. */
  async clear(): Promise<void> {
    if (this.#bars === undefined) await this.#progress.clear()
    else await this.#bars.clear()
  }
}
